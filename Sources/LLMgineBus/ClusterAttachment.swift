package import LLMgineCore
import LLMgineObservability
import Synchronization

/// What a node adds to its bus. The bus works the same without.
package protocol ClusterAttachment: AnyObject, Sendable {
    /// Tells the peers of a subscription on this node.
    func subscribed(_ subscriber: AnySubscriber)
    /// Tells the peers that it is gone.
    func unsubscribed(_ subscriber: AnySubscriber)
    /// Tells the peers of a responder on this node.
    func responding(_ responder: Responder)
    /// Tells the peers that it is gone.
    func stoppedResponding(_ responder: Responder)
    /// Events of the journal are left for subscriptions that may be on other nodes: whoever goes by the name takes them.
    func claimJournaled(_ obligation: String)
    /// Returns once every linked peer knows all subscriptions made so far.
    func established(deadline: Duration) async throws(LLMgineError)
}

extension ClusterAttachment {
    package func claimJournaled(_ obligation: String) {}
}

extension MessageBus {
    package var cluster: (any ClusterAttachment)? { registry.withLock { $0.cluster } }

    /// Connects the bus to its node. Subscriptions made before are announced.
    package func attach(_ cluster: any ClusterAttachment) {
        let existing = registry.withLock { registry in
            registry.cluster = cluster
            return registry.subscriptions.values.map(\.subscriber)
        }
        for subscriber in existing where subscriber.options.isRemote { cluster.subscribed(subscriber) }
        for responder in desk.responders where responder.options.isRemote { cluster.responding(responder) }
    }

    /// Routes matching events to a subscription on another node.
    package func addRemote(_ flow: RemoteFlow) { router.add(.remote(flow), filters: flow.filters) }
    /// Ends that.
    package func removeRemote(_ flow: RemoteFlow) { router.remove(.remote(flow), filters: flow.filters) }
}

// MARK: What a node adds on its own behalf

extension MessageBus {
    /// A subscription that no topic leads to: whoever holds it delivers to it.
    package func detachedSubscription(
        options: SubscriptionOptions, handler: @escaping @Sendable (Message, EventContext) async throws -> Void
    ) throws(LLMgineError) -> Subscription {
        try checkRunning()
        let subscriber = Subscriber<Message>(
            id: nextSubscription.add(1, ordering: .relaxed).oldValue, filters: [], options: options, services: services, form: .raw,
            handler: handler)
        let subscription = Subscription(subscriber: subscriber, bus: self)
        subscription.run { await subscriber.run() }
        return subscription
    }

    /// A responder that no topic leads to.
    package func detachedResponder(
        options: ResponderOptions, handler: @escaping @Sendable (Message, RequestContext, ReplyWriter) async throws -> Void
    ) -> Responder {
        Responder(id: nextSubscription.add(1, ordering: .relaxed).oldValue, filters: [], options: options, bus: self, handler: handler)
    }

    /// A raw subscription for several filters, made without waiting.
    package func relaySubscription(
        _ filters: [TopicFilter], options: SubscriptionOptions, handler: @escaping @Sendable (Message, EventContext) async throws -> Void
    ) throws(LLMgineError) -> Subscription {
        try add(filters, options: options, form: .raw, handler: handler)
    }

    /// A responder that passes on what it is asked, made without waiting. Whoever it stands for has been judged by its own rules.
    package func relayResponder(
        _ filters: [TopicFilter], options: ResponderOptions,
        handler: @escaping @Sendable (Message, RequestContext, ReplyWriter) async throws -> Void
    ) -> Responder {
        let responder = Responder(
            id: nextSubscription.add(1, ordering: .relaxed).oldValue, filters: filters, options: options, bus: self, handler: handler)
        desk.add(responder)
        cluster?.responding(responder)
        return responder
    }

    /// A desk of its own for requests that a node passes on.
    package func makeDesk() -> RequestDesk { RequestDesk(node: node, timers: timers, tracer: observability.tracer) }

    /// All subscriptions with what they have done, by name.
    package func subscriptionStatus() -> [(name: String, filters: [String], Subscription.Statistics)] {
        registry.withLock { Array($0.subscriptions.values) }
            .map { ($0.name, $0.filters.map(\.text), $0.statistics) }
            .sorted { $0.0 < $1.0 }
    }
}
