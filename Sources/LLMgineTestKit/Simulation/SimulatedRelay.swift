import LLMgineBroker
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineNode
import LLMgineRouting
import LLMgineWire

/// What a node does for one leaf: `LeafRelay` of the node, for events. It stands for the leaf in the mesh, and for the mesh at the leaf.
final class SimulatedRelay {
    let link: SimulatedLink
    private unowned let node: SimulatedNode
    private(set) var log = InterestLog()
    private(set) var subscriptions: [UInt32: SimulatedSubscription] = [:]
    /// Where the leaf's events go in.
    private(set) var uplink: SimulatedSubscription?
    private let publisher: SimulatedPublisher

    init(_ link: SimulatedLink, at node: SimulatedNode) {
        self.link = link
        self.node = node
        publisher = SimulatedPublisher(node, topics: [])
    }

    private var simulation: Simulation { node.simulation }

    /// Tells the leaf that this node takes everything.
    func start() {
        let uplink = SimulatedSubscription(
            node, id: node.nextFlow(), filters: [">"], capacity: 8, whenFull: .block, pace: .fast
        ) { [unowned self] event, done in publish(event, then: done) }
        self.uplink = uplink
        var entry = uplink.entry
        let window = node.credit(of: uplink.id, uplink.window, over: link).firstWindow
        (entry.windowMessages, entry.windowBytes) = (window.messages, window.bytes)
        log.add(entry)
        log.flush()
        sendInterest()
    }

    func sendInterest() { link.send(.interest(log.snapshot.frame)) }

    /// Somebody else may have published it: the leaf's subscriptions do not get it back, and to all others it is the leaf's.
    private func publish(_ event: SimulatedEvent, then done: @escaping () -> Void) {
        let leaf = link.peer
        simulation.tally.relayed += 1
        let origin = SimulatedOrigin(
            life: ObjectIdentifier(leaf), node: leaf.name, incarnation: leaf.incarnation, number: event.number, uplink: link.id.value)
        publisher.publish(
            SimulatedPublisher.Order(topic: event.topic, priority: event.priority, relayed: (event.payload, origin), done: done))
    }

    /// The leaf has subscribed.
    func opened(_ entry: InterestEntry) {
        link.update {
            $0.opened(
                flow: entry.flow, whenFull: .block(deadline: .seconds(86_400)),
                window: Credit(messages: entry.windowMessages, bytes: entry.windowBytes))
        }
        link.passages[entry.flow] = Passage(publisher: node)
        var options = SimulatedSubscription.Options()
        options.relaysFor = ObjectIdentifier(link.peer)
        subscriptions[entry.flow] = node.subscribe(
            entry.filters, capacity: 8, whenFull: entry.whenFull, pace: .fast, options: options
        ) { [unowned self] event, done in forward(event, to: entry.flow, then: done) }
    }

    func closed(_ flow: UInt32) {
        if let subscription = subscriptions.removeValue(forKey: flow) { node.unsubscribe(subscription) }
    }

    /// Waits while the leaf has no credit: the policy of the subscription is for the publisher.
    private func forward(_ event: SimulatedEvent, to flow: UInt32, then done: @escaping () -> Void) {
        guard let sender = event.sender else { return done() }
        let origin = simulation.origin(of: event.number, from: sender)
        let number = node.nextSequence()
        simulation.noteRelayed(number, by: node, of: origin)
        simulation.tally.relayed += 1
        let message = SimulatedMessage(
            number: number, topicNumber: event.topic, priority: event.priority, bytes: event.bytes,
            encoded: Message(topic: Simulation.topic(event.topic), payload: event.payload, priority: event.priority).stamped(
                with: origin.id))
        if simulation.broken == .losesForwarded, simulation.chance(10) {
            return simulation.plan(in: 0, on: node, done)
        }
        offer(message, to: flow, then: done)
    }

    private func offer(_ message: SimulatedMessage, to flow: UInt32, then done: @escaping () -> Void) {
        switch link.offer(message, to: [flow]) {
        case .taken: simulation.plan(in: 0, on: node, done)
        case .full, .paced:
            let owner = SimulatedLinkRoute(link, [flow])
            link.await([flow], by: owner) { [self] in
                simulation.plan(in: 0, on: node) { [self] in offer(message, to: flow, then: done) }
            }
        }
    }

    /// The link is gone. What the leaf published before it left is published all the same.
    func stop() {
        for subscription in subscriptions.values.sorted(by: { $0.id < $1.id }) { node.unsubscribe(subscription) }
        subscriptions = [:]
        uplink?.finish()
    }
}

// What `Node` does for leaves.
extension SimulatedNode {
    func relay(_ id: LinkID) -> SimulatedRelay? { relays[id] }

    func leafUp(_ link: SimulatedLink) {
        let relay = SimulatedRelay(link, at: self)
        relays[link.id] = relay
        relay.start()
    }

    func leafDown(_ id: LinkID) {
        guard let relay = relays.removeValue(forKey: id) else { return }
        relay.stop()
        finishing.append(relay)
    }

    /// A leaf's interest is acknowledged once it is in effect in the whole cluster, or that has taken too long.
    func acknowledgeLater(_ version: UInt64, over link: SimulatedLink) {
        var isSaid = false
        let say = {
            guard !isSaid else { return }
            isSaid = true
            link.send(.interestAck(InterestAckFrame(version: version)))
        }
        establish(then: say)
        simulation.plan(in: 5_000_000, on: self, say)
    }

    /// What PINGs over a link say.
    func interest(for id: LinkID) -> (version: UInt64, hash: UInt64) {
        if let relay = relays[id] { return (relay.log.version, relay.log.hash) }
        return links[id] == nil ? (0, 0) : interest
    }
}
