import LLMgineBroker
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineMembership
import LLMgineNode
import LLMgineRouting
import LLMgineWire

// What `Node+broker` does with the actions of the broker machine.
extension SimulatedNode {
    func perform(_ action: BrokerAction) {
        switch action {
        case .peerUp(_, let id, let leaf): peerUp(id, leaf: leaf)
        case .peerDown(_, let id): peerDown(id)
        case .peerDraining(_, let id):
            link(id)?.isDraining = true
            desk.peerDraining(id)
        case .close(let id, let reason): close(id, reason)
        case .dial(let address, _): dial(address)
        case .sendInterest(let id, let update): sendInterest(update, to: id)
        case .sendInterestAck(let id, let version):
            guard simulation.broken != .skipsInterestAck, simulation.broken != .acknowledgesEarly else { return }
            guard let link = link(id) else { return }
            if relay(id) != nil { return acknowledgeLater(version, over: link) }
            link.send(.interestAck(InterestAckFrame(version: version)))
        case .requestInterest(let id, let since): link(id)?.send(.interestWanted(InterestWantedFrame(sinceVersion: since)))
        case .scheduleInterestFlush:
            simulation.plan(in: 10_000, on: self) { [self] in tell { $0.interestFlushed(into: &$1) } }
        case .scheduleInterestAnswer(let id, after: let wait):
            simulation.plan(in: wait.microseconds, on: self) { [self] in
                tell { [now] in $0.interestAnswerDue(id, at: now, into: &$1) }
            }
        case .routeAdded(_, let id, let entry, let leaf):
            if leaf { relay(id)?.opened(entry) } else { routeAdded(id, entry) }
        case .routeRemoved(_, let id, let flow): routeRemoved(id, flow)
        case .resolve(let waiter): resolve(waiter)
        case .sendGossip(let id, let records):
            // A stand-in has one link where the node that it stands for has one to each of the others, and chooses among them.
            if settings.isStar, host != 0, simulation.draw(simulation.nodes.count - 1) != 0 { return }
            link(id)?.send(.gossip(GossipFrame(members: records.map(\.wire))))
        case .sendLeaving(let id, let deadline): link(id)?.leave(deadline: deadline)
        case .identityTaken(let newer):
            // Another process with our name is newer. What the log asks the operator for: this one stops.
            simulation.plan(in: 10_000, on: self) { [self] in
                if newer > incarnation { kill() }
            }
        }
    }

    func link(_ id: LinkID) -> SimulatedLink? { links[id] ?? candidates[id] }

    private func close(_ id: LinkID, _ reason: BrokerAction.CloseReason) {
        guard let link = link(id) else { return }
        switch reason {
        case .duplicateLink, .replaced: link.close(.duplicateLink)
        case .superseded, .olderIncarnation: link.close(.superseded)
        case .duplicateIdentity: link.close(.duplicateIdentity)
        case .ourselves: link.close(.ownNode)
        case .fault(let error): link.close(CloseReason(error), detail: error.detail)
        }
    }

    private func peerUp(_ id: LinkID, leaf: Bool) {
        guard let link = candidates.removeValue(forKey: id) else { return }
        links[id] = link
        if leaf { leafUp(link) } else { endOrphans(of: link.peer) }
    }

    private func peerDown(_ id: LinkID) {
        let link = links.removeValue(forKey: id)
        if simulation.broken != .leaksRequestsOnLinkLoss { desk.peerLost(id) }
        desk.checkNothingIsLeft(on: id)
        leafDown(id)
        guard let link else { return }
        link.routes = [:]
        for subscription in subscriptions { subscription.inlet?.linkEnded(link) }
        for spill in link.spills.values { simulation.tally.lostWithLinks += spill.line.end() }
        let running = link.requests.values.sorted { $0.number < $1.number }
        link.requests = [:]
        for answer in running { answer.cancelled() }
        if simulation.broken == .keepsCreditOverReconnect {
            remembered[link.peer.name] = link.inbound
        } else {
            for flow in link.inbound.values { flow.closed() }
        }
        link.inbound = [:]
    }

    private func routeAdded(_ id: LinkID, _ entry: InterestEntry) {
        guard let link = link(id) else { return }
        switch entry.kind {
        case .events:
            if link.routes.updateValue(entry, forKey: entry.flow) != nil {
                simulation.fault("\(name): flow \(entry.flow) of \(link.peer.name) came twice")
            }
            if entry.reliable != nil { return outletOpened(entry, over: link) }
            link.passages[entry.flow] = Passage(publisher: self)
            if case .spill(let maximumBytes) = entry.whenFull {
                link.spills[entry.flow] = SimulatedSpillRoute(link, flow: entry.flow, maximumBytes: maximumBytes)
            }
            link.update {
                $0.opened(
                    flow: entry.flow, whenFull: entry.whenFull, window: Credit(messages: entry.windowMessages, bytes: entry.windowBytes))
            }
        case .responder: desk.added(entry, node: link.peer.name, over: link)
        }
    }

    private func routeRemoved(_ id: LinkID, _ flow: UInt32) {
        guard simulation.broken != .forgetsUnsubscribe, let link = link(id) else { return }
        desk.removed(flow, link: id)
        relay(id)?.closed(flow)
        if let outlet = link.outlets[flow] { outletWithdrawn(outlet, isLeaving: link.isDraining) }
        if let spill = link.spills.removeValue(forKey: flow) { simulation.tally.lostWithLinks += spill.line.end() }
        let isRelayed = link.passages[flow] != nil && link.routes[flow] == nil
        guard isRelayed || link.routes.removeValue(forKey: flow) != nil else { return }
        if !link.isOver { link.passages[flow] = nil }  // else it is asked later what was lost before the link was
        link.closedFlows += 1
        _ = link.update { $0.closed(flow: flow) }
    }

    private func dial(_ address: String) {
        if settings.isStar, host != 0, address != Simulation.address(0) { return }
        let connecting = Int64(simulation.draw(200...3000))
        guard let target = simulation.listener(at: address) else { return failLater(address, in: connecting) }
        guard !simulation.isBlocked(from: host, to: target.host), !simulation.isBlocked(from: target.host, to: host) else {
            return failLater(address, in: 1_000_000)
        }
        // Two round trips of TCP and TLS; the acceptor is ready first.
        let accepted = simulation.time + connecting
        let ready = accepted + Int64(simulation.draw(simulation.settings.delay))
        let wire = SimulatedWire(simulation, dialer: self, acceptor: target, address: address, opening: [ready, accepted])
        simulation.wires.append(wire)
        simulation.plan(at: accepted, on: target) { wire.ends[1].opened() }
        simulation.plan(at: ready, on: self) { wire.ends[0].opened() }
    }

    private func failLater(_ address: String, in microseconds: Int64) {
        simulation.plan(in: microseconds, on: self) { [self] in
            let random = simulation.fraction()
            tell { [now] in $0.dialFailed(address, at: now, random: random, into: &$1) }
        }
    }
}

// What `Node+links` does with what links report.
extension SimulatedNode {
    func linkEstablished(_ link: SimulatedLink, _ hello: HelloFrame) {
        candidates[link.id] = link
        let info = PeerInfo(
            node: hello.node, incarnation: hello.incarnation, kind: hello.kind == .leaf ? .leaf : .core, address: hello.advertisedAddress,
            dialed: link.dialed)
        tell { [id = link.id, now] in $0.linkEstablished(id, peer: info, at: now, into: &$1) }
    }

    func linkClosed(_ link: SimulatedLink, wasEstablished: Bool) {
        if simulation.broken != .keepsCreditOverReconnect { for flow in link.inbound.values { flow.closed() } }
        simulation.tally.lostWithLinks += link.outbox.queued.reduce(0) { $0 + $1.messages }
        let random = simulation.fraction()
        guard wasEstablished else {
            guard let address = link.dialed else { return }
            return tell { [now] in $0.dialFailed(address, at: now, random: random, into: &$1) }
        }
        tell { [self, id = link.id, now] machine, actions in
            if simulation.broken != .forgetsLinkLoss { machine.linkLost(id, at: now, random: random, into: &actions) }
            candidates[id] = nil
        }
    }

    func received(_ chunk: ReceivedChunk, for flows: [UInt32]) throws(LLMgineError) {
        guard let link = link(chunk.link.id) else { return }
        for flow in flows {
            guard let subscription = subscriber(flow, over: link), let credit = link.inbound[flow]?.account(chunk.priority) else {
                continue
            }
            let sender = link.wire.ends[1 - link.side]
            if let inlet = subscription.inlet {
                guard let account = sender.accounts[flow] else { continue }
                if !chunk.isCounted { try credit.received(messages: chunk.index.count, bytes: chunk.index.payloadBytes) }
                inlet.received(chunk, in: credit, for: account)
                continue
            }
            guard let passage = sender.passages[flow] ?? lost(flow) else { continue }
            if !chunk.isCounted { try credit.received(messages: chunk.index.count, bytes: chunk.index.payloadBytes) }
            subscription.deliver(chunk, credit, passage)
        }
    }

    /// The subscription behind a flow, or what stands for a leaf's publishing.
    private func subscriber(_ flow: UInt32, over link: SimulatedLink) -> SimulatedSubscription? {
        if let known = subscription(flow) { return known }
        return relays[link.id]?.uplink.flatMap { $0.id == flow ? $0 : nil }
    }

    /// The publisher has forgotten the flow meanwhile, so nothing is known of what it had sent.
    private func lost(_ flow: UInt32) -> Passage? {
        if simulation.broken == .deliversAfterUnsubscribe { return Passage(publisher: self) }
        return nil
    }

    /// Each peer is told the window that it is granted, which the budget decides now.
    private func sendInterest(_ update: InterestUpdate, to id: LinkID) {
        guard let link = link(id) else { return }
        var frame = update.frame
        for index in frame.adds.indices where frame.adds[index].kind == .events {
            let entry = frame.adds[index]
            let credit = credit(of: entry.flow, Credit(messages: entry.windowMessages, bytes: entry.windowBytes), over: link)
            frame.adds[index].windowMessages = credit.firstWindow.messages
            frame.adds[index].windowBytes = credit.firstWindow.bytes
        }
        for flow in frame.removes where simulation.broken != .deliversAfterUnsubscribe { link.inbound.removeValue(forKey: flow)?.closed() }
        link.send(.interest(frame))
    }

    func credit(of flow: UInt32, _ target: Credit, over link: SimulatedLink) -> InboundFlowCredit {
        if let known = link.inbound[flow] { return known }
        let credit: InboundFlowCredit
        if let old = remembered[link.peer.name]?[flow] {
            credit = InboundFlowCredit(old, continuedOver: link)
        } else {
            credit = InboundFlowCredit(flow: flow, target: target, link: link)
        }
        link.inbound[flow] = credit
        return credit
    }

    /// A long message is coming in parts. - Returns: those of its flows that take it.
    func announced(_ head: FragmentFrame.Head, over link: SimulatedLink) throws(LLMgineError) -> [UInt32] {
        var takers: [UInt32] = []
        for flow in head.flows {
            guard subscriber(flow, over: link) != nil, let credit = link.inbound[flow]?.account(head.priority) else { continue }
            try credit.received(messages: 1, bytes: Int(clamping: head.payloadBytes))
            takers.append(flow)
        }
        return takers
    }

    func received(_ frame: Frame, over link: SimulatedLink) throws(LLMgineError) {
        let id = link.id
        guard self.link(id) != nil else { return }
        switch frame {
        case .interest(let interest):
            let update = InterestUpdate(interest)
            if simulation.broken == .acknowledgesEarly {
                link.send(.interestAck(InterestAckFrame(version: update.to)))
                return simulation.plan(in: 8000, on: self) { [self] in tell { $0.interestReceived(id, update, into: &$1) } }
            }
            tell { $0.interestReceived(id, update, into: &$1) }
        case .interestAck(let ack): tell { $0.interestAcknowledged(id, version: ack.version, into: &$1) }
        case .interestWanted where relay(id) != nil: relay(id)?.sendInterest()
        case .interestWanted(let wanted): tell { [now] in $0.interestWanted(id, since: wanted.sinceVersion, at: now, into: &$1) }
        case .gossip(let gossip):
            guard simulation.broken != .ignoresGossip else { return }
            let records = gossip.members.map { MemberRecord($0) }
            tell { [now] in $0.gossipReceived(id, records, at: now, into: &$1) }
        case .grant(let grant):
            let extra: UInt64 = simulation.broken == .sendsPastGrant ? 5 : 0
            let limit = Credit(messages: grant.maximumMessages + extra, bytes: grant.maximumBytes)
            _ = link.update { $0.granted(flow: grant.flow, grant.priority, limit, at: now) }
            desk.granted(grant.flow, link: id, grant.maximumMessages)
        case .blocked(let blocked):
            guard subscriber(blocked.flow, over: link) != nil else { return }
            try link.inbound[blocked.flow]?.account(blocked.priority).blocked(blocked)
        case .drain(let drain): link.update { $0.drained(flow: drain.flow, drain.priority) }
        case .drained(let drained): try link.inbound[drained.flow]?.account(drained.priority).drained(drained)
        case .gap(let gap):
            guard simulation.broken != .losesGapMarker, subscriber(gap.flow, over: link) != nil else { return }
            link.wire.ends[1 - link.side].passages[gap.flow]?.gaps[Int(gap.priority.rawValue)] += Int(gap.count)
        case .replyError(let failure): desk.replied(failure.request, LLMgineError.Code(rawValue: failure.code) ?? .remoteError)
        case .replyCredit(let credit): link.requests[credit.request]?.granted(credit.maximumMessages)
        case .cancel(let cancel): link.requests[cancel.request]?.cancelled()
        case .ack(let ack): try link.outlets[ack.flow]?.acknowledged(ack, over: link)
        case .hello, .reject, .ping, .pong, .leaving, .goodbye, .moved, .renew, .compressed, .intern, .data, .fragment, .request, .reply,
            .callPart, .unknown:
            throw LLMgineError(.unexpectedFrame, "a frame reached the node that belongs to the link")
        }
    }

    func replyReceived(_ reply: ReplyFrame, isEmpty: Bool) throws(LLMgineError) {
        guard desk.replied(reply.request, isBareEnd: reply.isLast && isEmpty, isLast: reply.isLast) else {
            throw LLMgineError(.creditOverdrawn, "a reply came without room for it")
        }
    }

    func requestReceived(_ frame: RequestFrame, topic: Topic, over link: SimulatedLink) throws(LLMgineError) {
        guard self.link(link.id) != nil else { return }
        guard let responder = desk.responder(frame.flow) else {
            return link.send(.replyError(ReplyErrorFrame(request: frame.request, code: LLMgineError.Code.peerLost.rawValue, detail: "")))
        }
        let slots = link.slots[frame.flow] ?? (granted: UInt64(responder.concurrency), used: 0)
        link.slots[frame.flow] = (slots.granted, slots.used + 1)
        guard slots.used < slots.granted else { throw LLMgineError(.creditOverdrawn, "a request came without a free slot") }
        let answer = SimulatedAnswer(
            desk, number: frame.request, responder: responder, window: frame.replyMessages, until: simulation.now + frame.deadline,
            link: link)
        link.requests[frame.request] = answer
        responder.serve(answer)
    }
}
