import LLMgineBroker
package import LLMgineBus
public import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineMembership
import LLMgineRouting
import LLMgineTransport
import LLMgineWire
import Logging
import NIOCore
import Synchronization

/// The shell of the broker machine: all of this runs on the control loop.
extension Node {
    /// Tells the machine what happened and does what it says.
    func drive(_ input: (inout BrokerMachine, inout [BrokerAction]) -> Void) {
        control.preconditionInEventLoop()
        var actions: [BrokerAction] = []
        input(&machine.value, &actions)
        let interest = (version: machine.value.interestVersion, hash: machine.value.interestHash)
        state.withLock { $0.interest = interest }
        // First, so that what the loss of a link withdraws can be told from what the peer has withdrawn.
        for case .peerDown(_, let id) in actions { if let link = link(id) { outlets.linkEnded(link) } }
        for action in actions { perform(action) }
    }

    /// The same from any thread.
    func tell(_ input: @escaping @Sendable (inout BrokerMachine, inout [BrokerAction]) -> Void) {
        control.execute { self.drive(input) }
    }

    /// The same, waiting until it is done.
    func onControl(_ input: @escaping @Sendable (inout BrokerMachine, inout [BrokerAction]) -> Void) async {
        try? await control.submit { self.drive(input) }.get()
    }

    /// Gossip, dials and deadlines, at the machine's own pace: at most every 10 ms, at least once a second.
    func tickLater() {
        guard !isStopped.load(ordering: .relaxed) else { return }
        let now = elapsed
        let wait = min(max((machine.value.nextTick(at: now) ?? now + .seconds(1)) - now, .milliseconds(10)), .seconds(1))
        control.scheduleTask(in: TimeAmount(wait)) {
            self.drive { $0.ticked(at: self.elapsed, random: UInt64.random(in: 0...UInt64.max), into: &$1) }
            self.tickLater()
        }
    }

    /// Idle flows give back what they do not use.
    func tickCredit() {
        control.scheduleTask(in: .seconds(1)) {
            guard !self.isStopped.load(ordering: .relaxed) else { return }
            self.creditTicked()
            self.tickCredit()
        }
    }

    /// A second has passed for all flows.
    package func creditTicked() {
        let isScarce = credit.waiting > 0
        for link in state.withLock({ Array($0.links.values) }) { link.ticked(isScarce: isScarce) }
        outlets.ticked()
        credit.serve()
    }

    private func perform(_ action: BrokerAction) {
        switch action {
        case .peerUp(let node, let id, let leaf): peerUp(node, id, leaf: leaf)
        case .peerDown(let node, let id): peerDown(node, id)
        case .peerDraining(let node, let id):
            noteLostPeer(id)  // before it is told, so that whoever hears of it finds it so
            logger.info("peer leaves", metadata: ["peer": "\(node)"])
            link(id)?.drains()
            bus.desk.peerDraining(id)
        case .close(let id, let reason): close(id, reason)
        case .dial(let address, expecting: _): dial(address)
        case .sendInterest(let id, let update): sendInterest(update, to: id)
        case .sendInterestAck(let id, let version): acknowledge(id, version)
        case .requestInterest(let id, let since): link(id)?.connection.send(.interestWanted(InterestWantedFrame(sinceVersion: since)))
        case .scheduleInterestFlush:
            control.scheduleTask(in: .milliseconds(10)) { self.drive { $0.interestFlushed(into: &$1) } }
        case .scheduleInterestAnswer(let id, after: let wait):
            control.scheduleTask(in: TimeAmount(wait)) { self.drive { $0.interestAnswerDue(id, at: self.elapsed, into: &$1) } }
        case .routeAdded(_, let id, let entry, let leaf): routeAdded(id, entry, leaf: leaf)
        case .routeRemoved(_, let id, let flow): routeRemoved(id, flow)
        case .resolve(let waiter): state.withLock { $0.waiters.removeValue(forKey: waiter) }?.resume()
        case .sendGossip(let id, let records): link(id)?.connection.send(.gossip(GossipFrame(members: records.map(\.wire))))
        case .sendLeaving(let id, let deadline): link(id)?.connection.leave(deadline: deadline)
        case .identityTaken(let incarnation):
            logger.critical(
                "another process lives under this node's name and is newer; this one must stop", metadata: ["incarnation": "\(incarnation)"]
            )
        }
    }

    func link(_ id: LinkID) -> PeerLink? { state.withLock { $0.links[id] ?? $0.candidates[id] } }

    // MARK: Peers

    private func peerUp(_ node: NodeID, _ id: LinkID, leaf: Bool) {
        let link = state.withLock { state -> PeerLink? in
            guard let link = state.candidates.removeValue(forKey: id) else { return nil }
            state.links[id] = link
            return link
        }
        guard let link else { return }
        logger.info(
            "peer linked",
            metadata: [
                "peer": "\(node)", "address": "\(link.connection.address)", "role": "\(link.connection.role)",
                "kind": leaf ? "leaf" : "core",
            ])
        guard leaf else {
            outlets.peerUp(node, link.hello.incarnation)
            return tellWatchers(.linked(node))
        }
        let relay = LeafRelay(link: link, node: self)
        state.withLock { $0.relays[id] = relay }
        relay.start()
    }

    private func peerDown(_ node: NodeID, _ id: LinkID) {
        let (link, relay) = state.withLock { state in
            (state.links.removeValue(forKey: id), state.relays.removeValue(forKey: id))
        }
        bus.desk.peerLost(id)
        relay?.stop()
        guard let link else { return }
        for flow in link.routes() { bus.removeRemote(flow) }
        for inlet in state.withLock({ Array($0.inlets.values) }) { inlet.linkEnded(link) }
        link.ended()
        end(link.takeSpills(), of: link)
        if !link.isLeaf { tellWatchers(.lost(node)) }
    }

    /// Gives up what lies on the disk for subscriptions that are gone.
    private func end(_ spills: [SpillRoute], of link: PeerLink) {
        guard !spills.isEmpty else { return }
        // Unstructured because it waits for the disk, which the event loop must not; it ends when all was read.
        Task { [self] in
            for spill in spills {
                let lost = await spill.end()
                guard lost > 0 else { continue }
                noteLost(lost, of: link.peer, .disk)
                logger.warning(
                    "events on the disk are lost with their subscription", metadata: ["peer": "\(link.peer)", "events": "\(lost)"])
            }
        }
    }

    private func close(_ id: LinkID, _ reason: BrokerAction.CloseReason) {
        guard let link = link(id) else { return }
        noteLostPeer(id)  // a link that is replaced is not known any more when it has closed
        let (code, detail): (CloseReason, String) =
            switch reason {
            case .duplicateLink, .replaced: (.duplicateLink, "")
            case .superseded: (.superseded, "")
            case .olderIncarnation: (.superseded, "a later life of the node is linked")
            case .duplicateIdentity: (.duplicateIdentity, "")
            case .ourselves: (.ownNode, "")
            case .fault(let error): (CloseReason(error), error.detail)
            }
        if case .duplicateIdentity = reason {
            logger.error(
                "refused a second process with a peer's name", metadata: ["peer": "\(link.peer)", "address": "\(link.connection.address)"])
        }
        link.connection.close(code, detail: detail)
    }

    private func dial(_ address: String) {
        guard let target = try? HostPort(address), let endpoint = state.withLock({ $0.endpoint }) else { return }
        logger.debug("dialling", metadata: ["address": "\(address)"])
        endpoint.dial(target, delegate: self).whenFailure { error in
            self.logger.debug("no connection", metadata: ["address": "\(address)", "error": "\(error)"])
            self.turnedAway(
                by: address, error as? LLMgineError ?? LLMgineError(.connectionClosed, "cannot connect to \(address)", cause: error))
            self.tell { $0.dialFailed(address, at: self.elapsed, random: Double.random(in: 0..<1), into: &$1) }
        }
    }

    // MARK: Interest

    /// Each peer is told the window that it is granted, which the budget decides now.
    private func sendInterest(_ update: InterestUpdate, to id: LinkID) {
        guard let link = link(id) else { return }
        var frame = update.frame
        for index in frame.adds.indices where frame.adds[index].kind == .events {
            let entry = frame.adds[index].understood(with: link.hello.features)
            frame.adds[index] = entry
            let window = link.announce(
                entry.flow, target: Credit(messages: entry.windowMessages, bytes: entry.windowBytes), office: credit)
            frame.adds[index].windowMessages = window.messages
            frame.adds[index].windowBytes = window.bytes
        }
        for flow in frame.removes { link.forget(flow: flow) }
        link.connection.send(.interest(frame))
    }

    private func routeAdded(_ id: LinkID, _ entry: InterestEntry, leaf: Bool) {
        guard let link = link(id), !refuses(entry, of: link) else { return }
        if leaf {
            state.withLock { $0.relays[id] }?.opened(entry)
            return
        }
        switch entry.kind {
        case .events where entry.reliable != nil: outlets.opened(entry, over: link)
        case .events:
            let disk = (bus.configuration.spillDirectory, configuration.maximumSpill, logger)
            bus.addRemote(link.opened(entry, disk: disk, isUplink: configuration.kind == .leaf))
        case .responder: bus.desk.responderAdded(entry, node: link.peer, link: id, over: link)
        }
    }

    private func routeRemoved(_ id: LinkID, _ flow: UInt32) {
        guard let link = link(id) else { return }
        state.withLock { $0.relays[id] }?.closed(flow)
        bus.desk.responderRemoved(flow, link: id)
        if let outlet = link.outlet(flow) { outlets.withdrawn(outlet, isLeaving: link.isDraining) }
        let (route, lost) = link.closed(flow)
        noteLost(lost, of: link.peer, .subscription)
        if let route { bus.removeRemote(route) }
        if let spill = link.takeSpill(flow) { end([spill], of: link) }
    }

    /// A peer's interest is acknowledged once it is in effect here; a leaf's once it is in effect in the whole cluster.
    private func acknowledge(_ id: LinkID, _ version: UInt64) {
        guard let link = link(id) else { return }
        let frame = Frame.interestAck(InterestAckFrame(version: version))
        if let relay = state.withLock({ $0.relays[id] }) {
            relay.acknowledgeWhenEstablished { link.connection.send(frame) }
        } else {
            link.connection.send(frame)
            joined()
        }
    }
}

extension Node: ClusterAttachment {
    package func subscribed(_ subscriber: AnySubscriber) {
        let inlet = makeInlet(for: subscriber)
        state.withLock { state in
            state.subscribers[subscriber.id] = subscriber
            if let inlet { state.inlets[subscriber.id] = inlet }
        }
        let entry = subscriber.entry(windowBytes: windowBytes)
        announce(entry)
    }

    package func unsubscribed(_ subscriber: AnySubscriber) {
        let inlet = state.withLock { state in
            state.subscribers[subscriber.id] = nil
            return state.inlets.removeValue(forKey: subscriber.id)
        }
        inlet?.ending()
        withdraw(subscriber.id)
    }

    package func claimJournaled(_ obligation: String) { outlets.claimJournaled(obligation) }

    package func responding(_ responder: Responder) { announce(responder.entry) }
    package func stoppedResponding(_ responder: Responder) { withdraw(responder.id) }

    private func announce(_ entry: InterestEntry) {
        tell { [self] machine, actions in
            do throws(LLMgineError) {
                try machine.locallySubscribed(entry, into: &actions)
            } catch {
                logger.error("a subscription stays local", metadata: ["error": "\(error)"])
            }
        }
    }

    private func withdraw(_ flow: UInt32) {
        tell { machine, actions in machine.locallyUnsubscribed(flow, into: &actions) }
        for link in state.withLock({ Array($0.links.values) }) { link.forget(flow: flow) }
    }

    package func established(deadline: Duration) async throws(LLMgineError) {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        var timer: UInt64?
        defer { if let timer { bus.timers.cancel(timer) } }
        do {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                guard register(continuation, as: id) else { return continuation.resume(throwing: Node.stoppedWaiting) }
                // After it is known who waits: a timer that rings before would ring for nobody.
                timer = bus.timers.schedule(at: .now.advanced(bySaturating: deadline)) { [weak self] in
                    self?.state.withLock { $0.waiters.removeValue(forKey: id) }?
                        .resume(throwing: LLMgineError(.deadlineExceeded, "not all peers have acknowledged the subscription"))
                }
                tell { machine, actions in machine.established(id, into: &actions) }
            }
        } catch {
            throw error as? LLMgineError ?? LLMgineError(.connectionClosed, "the node has stopped", cause: error)
        }
    }

    /// False once the node stops: ``endWaits()`` finds everybody who was registered before.
    private func register(_ waiter: CheckedContinuation<Void, any Error>, as id: UInt64) -> Bool {
        state.withLock { state in
            guard !isStopped.load(ordering: .relaxed) else { return false }
            state.waiters[id] = waiter
            return true
        }
    }

    /// The node stops, and nobody will learn of its subscriptions any more.
    func endWaits() {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(throwing: Node.stoppedWaiting) }
    }

    private static let stoppedWaiting = LLMgineError(.stopped, "the node stops before all peers have acknowledged the subscription")
}

extension Node {
    /// Returns once every node that can be reached knows all subscriptions and responders made here so far.
    /// - Throws: `deadlineExceeded`, `stopped`.
    public func established(within deadline: Duration = .seconds(10)) async throws(LLMgineError) {
        try await established(deadline: deadline)
    }
}
