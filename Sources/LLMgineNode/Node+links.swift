import LLMgineBroker
import LLMgineBus
package import LLMgineCore
import LLMgineFlow
package import LLMgineLink
import LLMgineMembership
import LLMgineRouting
package import LLMgineTransport
package import LLMgineWire
import Logging
import NIOCore
import Synchronization

/// What links report, on their own event loops.
extension Node: LinkDelegate {
    package func linkEstablished(_ connection: LinkConnection, session: LinkSession) {
        let grant = permissions.grant(for: session.peer.node, roles: session.roles)
        let link = PeerLink(connection: connection, hello: session.peer, grant: grant) { [weak self, peer = session.peer] name in
            self?.trusts(peer, toSpeakFor: name) ?? false
        }
        state.withLock { $0.candidates[link.id] = link }
        let info = PeerInfo(
            node: session.peer.node, incarnation: session.peer.incarnation, kind: link.isLeaf ? .leaf : .core, roles: session.peer.roles,
            zone: session.peer.zone, address: session.peer.advertisedAddress, dialed: connection.role == .dialer ? connection.address : nil,
            protocolMin: UInt64(session.peer.protocols.lowerBound), protocolMax: UInt64(session.peer.protocols.upperBound))
        tell { $0.linkEstablished(link.id, peer: info, at: self.elapsed, into: &$1) }
    }

    package func linkReceived(_ connection: LinkConnection, _ data: ReceivedData) throws(LLMgineError) {
        guard let link = link(LinkID(connection.id)) else { return }
        var chunk = WireChunk(data, from: link)
        var mayShrink = !data.isCounted  // what came in parts was put together in memory of its own
        var targets: [InboundTarget] = []
        if data.flows.count > 1 { targets.reserveCapacity(data.flows.count) }
        let refused = data.refused
        if refused.messages > 0 { noteRefused(refused.messages, on: data.topicIfRefused, of: link) }
        for id in data.flows {
            guard let subscriber = subscriber(id, over: link), let flow = link.inbound(id)?.account(data.priority) else {
                noteLost(chunk.count, of: link.peer, .late)
                continue
            }
            if !data.isCounted {
                let isBehind = try flow.received(
                    messages: chunk.count + refused.messages, bytes: data.index.payloadBytes + refused.bytes)
                if isBehind, mayShrink {
                    // The budget counts what it needs, and not all that was read with it.
                    if let compacted = data.compacted { chunk = WireChunk(compacted, from: link) }
                    mayShrink = false
                }
            }
            if refused.messages > 0 { flow.consumed(messages: refused.messages, bytes: refused.bytes) }
            if subscriber.options.delivery != .atMostOnce, let inlet = inlet(of: id) {
                inlet.received(chunk, over: link, in: flow, refused: refused.positions)
                continue
            }
            guard chunk.count > 0 else { continue }
            if data.flows.count > 1 {
                targets.append(InboundTarget(subscriber: subscriber, credit: flow))
            } else if !subscriber.deliver(InboundDelivery(chunk: chunk, credit: flow)) {
                InboundTarget(subscriber: subscriber, credit: flow).refuse(chunk.count, data.index.payloadBytes)
            }
        }
        if !targets.isEmpty { bus.deliver(chunk, bytes: data.index.payloadBytes, to: targets) }
    }

    package func linkAnnounced(_ connection: LinkConnection, _ head: FragmentFrame.Head) throws(LLMgineError) -> [UInt32] {
        guard let link = link(LinkID(connection.id)) else { return [] }
        var takers: [UInt32] = []
        for id in head.flows {
            guard subscriber(id, over: link) != nil, let flow = link.inbound(id)?.account(head.priority) else { continue }
            try flow.received(messages: 1, bytes: Int(clamping: head.payloadBytes))
            takers.append(id)
        }
        return takers
    }

    /// The subscription behind a flow, or what stands for a leaf's publishing; nil if it has just been cancelled, which the peer will hear.
    private func subscriber(_ id: UInt32, over link: PeerLink) -> AnySubscriber? {
        state.withLock { $0.subscribers[id] } ?? state.withLock { $0.relays[link.id] }?.uplink(id)
    }

    package func linkReceived(_ connection: LinkConnection, _ frame: Frame, message: Message) throws(LLMgineError) {
        guard let link = link(LinkID(connection.id)) else { return }
        switch frame {
        case .request(let request):
            var message = message
            let origin = message.takeOrigin(keeping: CommandHeaders.all)
            let requester = origin.flatMap { link.trusts($0.node) ? $0.node : nil } ?? link.peer
            try requestReceived(request, message, from: requester, over: link)
        case .reply(let reply):
            let isBareEnd = reply.isLast && message.payload.readableBytes == 0 && message.topic == LinkConnection.replyTopic
            guard desk(of: link).replied(reply.request, isBareEnd ? nil : message.withoutReserved, isLast: reply.isLast, over: link.id)
            else {
                throw LLMgineError(.creditOverdrawn, "a reply came without room for it")
            }
        default: throw LLMgineError(.unexpectedFrame, "a message came in a frame that carries none")
        }
    }

    private func requestReceived(_ frame: RequestFrame, _ message: Message, from requester: NodeID, over link: PeerLink)
        throws(LLMgineError)
    {
        guard let responder = responder(frame.flow, over: link) else {
            _ = link.forgetAnnounced(frame.request)
            return link.sendReplyError(frame.request, LLMgineError(.peerLost, "the responder has just stopped"))
        }
        try link.spendSlot(responder, for: frame.request)
        link.arrived(frame.request)
        if let refusal = refusal(of: message.topic, askedOver: link) {
            noteRefused(1, on: message.topic, of: link)
            link.sendReplyError(frame.request, refusal)
            return link.finished(frame.request, flow: frame.flow)
        }
        // The rules are asked about the topic, so it must be one of the responder's. What takes a leaf's requests takes all of them.
        guard link.isLeaf || responder.filters.contains(where: { $0.matches(message.topic) }) else {
            link.sendReplyError(frame.request, LLMgineError(.noResponders, "the responder does not answer on \(message.topic)"))
            return link.finished(frame.request, flow: frame.flow)
        }
        let incoming = bus.requestReceived(
            frame.request, by: responder, from: requester, deadline: frame.deadline, replyWindow: frame.replyMessages, message, over: link
        ) { link.finished(frame.request, flow: frame.flow) }
        link.started(frame.request, incoming)
    }

    package func linkReceived(_ connection: LinkConnection, _ frame: Frame) throws(LLMgineError) {
        let id = LinkID(connection.id)
        guard let link = link(id) else { return }
        switch frame {
        case .interest(let interest):
            let update = InterestUpdate(interest)
            tell { $0.interestReceived(id, update, into: &$1) }
        case .interestAck(let ack): tell { $0.interestAcknowledged(id, version: ack.version, into: &$1) }
        case .interestWanted(let wanted): interestWanted(link, since: wanted.sinceVersion)
        case .gossip(let gossip):
            let records = gossip.members.map { MemberRecord($0) }
            tell { $0.gossipReceived(id, records, at: self.elapsed, into: &$1) }
        case .grant(let grant):
            let limit = Credit(messages: grant.maximumMessages, bytes: grant.maximumBytes)
            _ = connection.update { outbox in
                outbox.granted(flow: grant.flow, grant.priority, limit, at: outbox.isPaced ? LinkConnection.now : .zero)
            }
            desk(of: link).creditChanged(grant.flow, link: id, granted: grant.maximumMessages)
        case .blocked(let blocked):
            try link.inbound(blocked.flow)?.account(blocked.priority)?.blocked(blocked)
        case .ack(let ack): try link.outlet(ack.flow)?.acknowledged(ack, over: link)
        case .drain(let drain): connection.update { $0.drained(flow: drain.flow, drain.priority) }
        case .drained(let drained): try link.inbound(drained.flow)?.account(drained.priority)?.drained(drained)
        case .gap(let gap):
            // Only of what the peer has been told of: otherwise it could speak for the links of others.
            guard link.inbound(gap.flow) != nil, let subscriber = subscriber(gap.flow, over: link) else { break }
            switch gap.cause {
            case .evicted: subscriber.noteGap(Int(clamping: gap.count), priority: gap.priority)
            case .expired: subscriber.noteExpired(gap.count)
            }
        case .replyError(let failure):
            let code = LLMgineError.Code(rawValue: failure.code) ?? .remoteError
            desk(of: link).replied(failure.request, error: LLMgineError(code, "\(link.peer): \(failure.detail)"), over: id)
        case .replyCredit(let credit): link.request(credit.request)?.granted(credit.maximumMessages)
        case .cancel(let cancel):
            link.request(cancel.request)?.cancelled(LLMgineError(.cancelled, "the requester gave up"))
            connection.update { outbox in if outbox.longCalls > 0 { outbox.giveUp(.reply(cancel.request)) } }
        case .renew: renewalWanted(by: link)
        case .hello, .reject, .ping, .pong, .leaving, .goodbye, .moved, .compressed, .intern, .data, .fragment, .request, .reply,
            .callPart, .unknown:
            throw LLMgineError(.unexpectedFrame, "a frame reached the node that belongs to the link")
        }
    }

    /// Where the requests were made that a peer answers: a leaf answers those that this node passes on to it, and no others.
    func desk(of link: PeerLink) -> RequestDesk {
        link.isLeaf ? state.withLock { $0.relays[link.id] }?.desk ?? bus.desk : bus.desk
    }

    /// Whether a peer may pass something on for a node of this name: a hub for its leaves, so never for a member of the mesh but itself. A leaf
    /// may for nobody, and takes its hub's word for everybody.
    private func trusts(_ peer: HelloFrame, toSpeakFor name: NodeID) -> Bool {
        if configuration.kind == .leaf { return true }
        guard peer.kind == .core, name != configuration.name || name == peer.node else { return false }
        return name == peer.node || state.withLock { state in !state.links.values.contains { !$0.isLeaf && $0.peer == name } }
    }

    private func interestWanted(_ link: PeerLink, since version: UInt64) {
        if let relay = state.withLock({ $0.relays[link.id] }) { return relay.sendInterest() }
        let id = link.id
        tell { $0.interestWanted(id, since: version, at: self.elapsed, into: &$1) }
    }

    package func linkPeerInterest(_ connection: LinkConnection, version: UInt64, hash: UInt64) {
        let id = LinkID(connection.id)
        tell { $0.peerReportedInterest(id, version: version, hash: hash, into: &$1) }
    }

    package func linkPeerLeaving(_ connection: LinkConnection, deadline: Duration) {
        let id = LinkID(connection.id)
        tell { $0.peerLeaving(id, into: &$1) }
    }

    package func linkInterest(_ connection: LinkConnection) -> (version: UInt64, hash: UInt64) {
        let id = LinkID(connection.id)
        // A link in reserve has been told nothing.
        return state.withLock { state in state.relays[id]?.interest ?? (state.links[id] == nil ? (0, 0) : state.interest) }
    }

    package func linkClosed(_ connection: LinkConnection, _ closure: LinkClosure, wasEstablished: Bool) {
        let id = LinkID(connection.id)
        let link = link(id)
        // What is delivered at least once is kept apart, and sent again.
        let lost = connection.ended().reduce(0) { link?.outlet($1.flow) == nil ? $0 + $1.messages : $0 }
        if let link { noteLost(lost, of: link.peer, .link) }
        if closure.reason != .shuttingDown || closure.origin != .us { noteLostPeer(id) }
        let level: Logger.Level = closure.reason == .shuttingDown || closure.reason == .duplicateLink ? .info : .warning
        logger.log(
            level: level, wasEstablished ? "link closed" : "connection refused",
            metadata: [
                "peer": "\(link?.peer.description ?? "?")", "address": "\(connection.address)", "reason": "\(closure.reason.text)",
                "by": "\(closure.origin)",
                "detail": "\(closure.detail)", "lost": "\(lost)",
            ])
        let address = connection.address
        let dialled = connection.role == .dialer
        if dialled, !wasEstablished { turnedAway(by: address, closure.error) }
        control.execute { [self] in
            if wasEstablished {
                drive { $0.linkLost(id, at: elapsed, random: Double.random(in: 0..<1), into: &$1) }
            } else if dialled {
                drive { $0.dialFailed(address, at: elapsed, random: Double.random(in: 0..<1), into: &$1) }
            }
            state.withLock { $0.candidates[id] = nil }
        }
    }
}
