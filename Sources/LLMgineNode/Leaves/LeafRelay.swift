import LLMgineBroker
import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineRouting
import LLMgineTransport
import LLMgineWire
import Logging
import Synchronization

/// What a node does for one leaf: it stands for the leaf in the mesh, and for the mesh at the leaf.
///
/// The leaf's subscriptions become subscriptions of this node, whose handler forwards; what the leaf publishes or asks is published and
/// asked here. Credit works hop by hop: the handler waits for the leaf, so its queue fills, so the publisher's node is not granted more.
final class LeafRelay: Sendable {
    let link: PeerLink
    let node: Node
    let state = Mutex(State())
    /// Where the requests wait that are passed on to the leaf.
    let desk: RequestDesk
    private let sequence = Atomic<UInt64>(0)

    struct State {
        var log = InterestLog()
        var subscriptions: [UInt32: Subscription] = [:]
        var uplink: Subscription?
        var responder: Responder?
        /// What stands in the mesh for the leaf's own responders.
        var responders: [UInt32: Responder] = [:]
        var isStopped = false
    }

    init(link: PeerLink, node: Node) {
        self.link = link
        self.node = node
        desk = node.bus.makeDesk()
    }

    /// Tells the leaf that this node takes everything.
    func start() {
        let leaf = link.leaf
        do throws(LLMgineError) {
            let uplink = try node.bus.detachedSubscription(options: SubscriptionOptions(name: "from \(leaf)")) {
                [bus = node.bus] message, context in
                try await bus.publish(message, from: leaf, as: context.id)
            }
            let responder = node.bus.detachedResponder(options: ResponderOptions(name: "for \(leaf)", concurrency: 256)) {
                [bus = node.bus, link] message, context, writer in
                if message.topic == Node.rulesTopic { return try await writer.finish(with: Node.answer(message, over: link)) }
                let origin = MessageID(node: leaf.node, incarnation: leaf.incarnation, sequence: 0)
                let answer = try await bus.relay(message.stamped(with: origin), options: RequestOptions(deadline: context.deadline - .now))
                for try await reply in answer { try await writer.send(reply.payload, eventType: reply.eventType) }
            }
            state.withLock { state in
                state.uplink = uplink
                state.responder = responder
                let window = link.announce(
                    uplink.subscriber.id, target: uplink.subscriber.window(bytes: node.windowBytes), office: node.credit)
                state.log.add(
                    InterestEntry(
                        flow: uplink.subscriber.id, kind: .events, filters: [">"], whenFull: .block, windowMessages: window.messages,
                        windowBytes: window.bytes))
                var entry = responder.entry
                entry.filters = [">"]
                state.log.add(entry)
                state.log.flush()
            }
            sendInterest()
        } catch {
            node.logger.error("a leaf cannot be served", metadata: ["leaf": "\(leaf)", "error": "\(error)"])
        }
    }

    func sendInterest() {
        let update = state.withLock { $0.log.snapshot }
        link.connection.send(.interest(update.frame))
    }

    /// What PINGs to the leaf say.
    var interest: (version: UInt64, hash: UInt64) { state.withLock { ($0.log.version, $0.log.hash) } }

    /// Where the leaf's events go in.
    func uplink(_ flow: UInt32) -> AnySubscriber? {
        state.withLock { state in state.uplink.flatMap { $0.subscriber.id == flow ? $0.subscriber : nil } }
    }

    /// Who takes the leaf's requests.
    func responder(_ flow: UInt32) -> Responder? { state.withLock { state in state.responder.flatMap { $0.id == flow ? $0 : nil } } }

    /// The leaf has subscribed.
    func opened(_ entry: InterestEntry) {
        guard entry.kind == .events else { return openedResponder(entry) }
        link.connection.update { outbox in
            outbox.opened(
                flow: entry.flow, whenFull: .block(deadline: .seconds(86_400)),
                window: Credit(messages: entry.windowMessages, bytes: entry.windowBytes))
        }
        var options = SubscriptionOptions(name: "for \(link.peer)", group: entry.group, whenFull: entry.whenFull)
        options.relaysFor = link.leaf
        options.receives = { [link] topic in link.mayReceive(topic) }
        do throws(LLMgineError) {
            let subscription = try node.bus.relaySubscription(entry.filters, options: options) { [self] message, context in
                // First, so that the leaf hears of it even if this event is not for it.
                passOn(missed: context.missed, before: message, to: entry.flow)
                // What came over a link met no route here, so the leaf's rules are asked now.
                guard link.mayReceive(message.topic) else { return node.bus.noteDenied("deliver", of: link.peer) }
                try await forward(message.stamped(with: context.id), to: entry.flow)
            }
            let isStopped = state.withLock { state in
                state.subscriptions[entry.flow] = subscription
                return state.isStopped
            }
            if isStopped { stop() }
        } catch {
            node.logger.error("a leaf's subscription cannot be served", metadata: ["leaf": "\(link.peer)", "error": "\(error)"])
        }
    }

    func closed(_ flow: UInt32) {
        closedResponder(flow)
        let subscription = state.withLock { $0.subscriptions.removeValue(forKey: flow) }
        end([subscription].compactMap { $0 })
    }

    /// What was lost here or on the way here is lost for the leaf: its handler is told as one of this node would be.
    private func passOn(missed: UInt64, before message: Message, to flow: UInt32) {
        guard missed > 0 else { return }
        link.connection.update { $0.lost(Int(clamping: missed), flow: flow, message.priority) }
    }

    /// Waits while the leaf has no credit: the deadline and the policy of the subscription are enforced at the publisher.
    private func forward(_ message: Message, to flow: UInt32) async throws {
        let number = sequence.add(1, ordering: .relaxed).newValue
        while try link.connection.append(message, sequence: number, to: [flow]) == .full {
            _ = await link.connection.waitForRoom(for: [flow]) { _ in }
            try Task.checkCancellation()
        }
    }

    /// Runs the action once the whole mesh knows what the leaf wants.
    func acknowledgeWhenEstablished(_ action: @escaping @Sendable () -> Void) {
        // Unstructured because the acknowledgement is due later than the frame that asks for it; it ends by its own deadline.
        Task { [node] in
            do throws(LLMgineError) {
                try await node.established(deadline: .seconds(5))
            } catch {
                node.logger.warning(
                    "a leaf's subscription is not known everywhere yet", metadata: ["leaf": "\(link.peer)", "error": "\(error)"])
            }
            action()
        }
    }

    /// How long what a leaf has published goes on to be published after its link is gone.
    private static let uplinkDeadline = Duration.seconds(10)

    /// The link is gone. What the leaf published before it left is published all the same: a leaf may live for one event.
    func stop() {
        desk.peerLost(link.id)
        let (subscriptions, uplink, responders) = state.withLock { state in
            state.isStopped = true
            let all = Array(state.subscriptions.values)
            state.subscriptions = [:]
            let uplink = state.uplink
            state.uplink = nil
            let responders = Array(state.responders.values) + [state.responder].compactMap { $0 }
            state.responder = nil
            state.responders = [:]
            return (all, uplink, responders)
        }
        end(subscriptions)
        if let uplink { Task { await uplink.finish(within: LeafRelay.uplinkDeadline) } }  // it waits for handlers, as below
        // It waits for handlers, which the event loop must not.
        Task { for responder in responders { await responder.cancel() } }
    }

    private func end(_ subscriptions: [Subscription]) {
        guard !subscriptions.isEmpty else { return }
        // Unstructured because cancelling waits for the handler, which the event loop must not; it ends with the handler.
        Task { for subscription in subscriptions { await subscription.cancel() } }
    }
}
