public import LLMgineCore
import Synchronization

extension MessageBus {
    /// Calls the handler for each event of the type whose topic matches the filter, from this node and from all others.
    ///
    /// Events of one subscription are handled one after another, in the order of publishing for each publisher, topic and priority, unless
    /// `options.concurrency` allows more at once. A handler that throws is tried again and then the event goes to the dead letters; no other
    /// subscription notices.
    /// - Throws: `stopped`.
    @discardableResult
    public func subscribe<E: Event>(
        _ filter: TopicFilter, options: SubscriptionOptions = SubscriptionOptions(),
        handler: @escaping @Sendable (E, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try add([filter], options: options, eventType: E.eventType, decode: { try E(decoding: $0.payload) }, handler: handler)
    }

    /// Calls the handler for each event of the type that is published to the type's own topic.
    @discardableResult
    public func subscribe<E: Event>(
        to type: E.Type, options: SubscriptionOptions = SubscriptionOptions(), handler: @escaping @Sendable (E, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try await subscribe(TopicFilter(E.topic), options: options, handler: handler)
    }

    /// Calls the handler for each message whose topic matches one of the filters, with its bytes as they are.
    /// - Throws: `stopped`, `invalidArgument` without a filter.
    @discardableResult
    public func subscribe(
        _ filters: TopicFilter..., options: SubscriptionOptions = SubscriptionOptions(),
        handler: @escaping @Sendable (Message, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try add(filters, options: options, eventType: nil, decode: { $0 }, handler: handler)
    }

    package func add<Value: Sendable>(
        _ filters: [TopicFilter], options: SubscriptionOptions, eventType: String?, decode: @escaping @Sendable (Message) throws -> Value,
        handler: @escaping @Sendable (Value, EventContext) async throws -> Void
    ) throws(LLMgineError) -> Subscription {
        try checkRunning()
        guard (1...16).contains(filters.count) else { throw LLMgineError(.invalidArgument, "a subscription needs 1 to 16 filters") }
        guard options.capacity > 0, options.concurrency > 0 else {
            throw LLMgineError(.invalidArgument, "capacity and concurrency of a subscription must be positive")
        }
        let subscriber = Subscriber(
            id: nextSubscription.add(1, ordering: .relaxed).oldValue, filters: filters, options: options, eventType: eventType, origin: identity,
            decode: decode, handler: handler)
        let subscription = Subscription(subscriber: subscriber, bus: self)
        let cluster = registry.withLock { registry in
            registry.subscriptions[subscriber.id] = subscription
            return registry.cluster
        }
        subscription.run { [self] in await subscriber.run(on: self) }
        router.add(.local(subscriber), filters: filters)
        if options.isRemote { cluster?.subscribed(subscriber) }
        return subscription
    }

    func remove(_ subscription: Subscription) {
        let (known, cluster) = registry.withLock { registry in
            (registry.subscriptions.removeValue(forKey: subscription.subscriber.id) != nil, registry.cluster)
        }
        guard known else { return }
        router.remove(.local(subscription.subscriber), filters: subscription.filters)
        if subscription.subscriber.options.isRemote { cluster?.unsubscribed(subscription.subscriber) }
    }
}
