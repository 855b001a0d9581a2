public import LLMgineCore
import LLMgineResilience
import Synchronization

extension MessageBus {
    /// Calls the handler for each event of the type whose topic matches the filter, from this node and from all others.
    ///
    /// Events of one subscription are handled one after another, in the order of publishing for each publisher, topic and priority, unless
    /// `options.concurrency` allows more at once. A handler that throws is tried again and then the event goes to the dead letters; no other
    /// subscription notices.
    /// - Throws: `stopped`, `invalidArgument` for a concurrency or a queue that no subscription may have, `permissionDenied` if a topic permission of the
    ///   node allows it nothing that the filter matches.
    @discardableResult
    public func subscribe<E: Event>(
        _ filter: TopicFilter, options: SubscriptionOptions = SubscriptionOptions(),
        handler: @escaping @Sendable (E, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try add([filter], options: options, form: .typed, handler: handler)
    }

    /// Calls the handler for each event of the type that is published to the type's own topic.
    @discardableResult
    public func subscribe<E: Event>(
        to type: E.Type, options: SubscriptionOptions = SubscriptionOptions(),
        handler: @escaping @Sendable (E, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try await subscribe(TopicFilter(E.topic), options: options, handler: handler)
    }

    /// Calls the handler for each message whose topic matches one of the filters, with its bytes as they are.
    /// - Throws: as for events; `invalidArgument` without a filter, too.
    @discardableResult
    public func subscribe(
        _ filters: TopicFilter..., options: SubscriptionOptions = SubscriptionOptions(),
        handler: @escaping @Sendable (Message, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try add(filters, options: options, form: .raw, handler: handler)
    }

    package func add<Value: Sendable>(
        _ filters: [TopicFilter], options: SubscriptionOptions, form: ValueForm<Value>,
        handler: @escaping @Sendable (Value, EventContext) async throws -> Void
    ) throws(LLMgineError) -> Subscription {
        let subscriber = try makeSubscriber(filters, options: options, form: form, handler: handler)
        let subscription = Subscription(subscriber: subscriber, bus: self)
        subscription.run { await subscriber.run() }
        add(subscription)
        return subscription
    }

    func makeSubscriber<Value: Sendable>(
        _ filters: [TopicFilter], options: SubscriptionOptions, form: ValueForm<Value>,
        handler: @escaping @Sendable (Value, EventContext) async throws -> Void
    ) throws(LLMgineError) -> Subscriber<Value> {
        try checkRunning()
        guard (1...16).contains(filters.count) else { throw LLMgineError(.invalidArgument, "a subscription needs 1 to 16 filters") }
        guard options.concurrency > 0 else { throw LLMgineError(.invalidArgument, "the concurrency of a subscription must be positive") }
        try options.queue.check()
        try options.checkDelivery()
        if options.relaysFor == nil { try checkSubscribing(to: filters) }
        let id = nextSubscription.add(1, ordering: .relaxed).oldValue
        let name = options.name ?? filters.map(\.text).joined(separator: ",")
        var handler = handler
        if let limit = options.handlerDeadline {
            handler = HandlerDeadline(limit: limit, handler: name, subscription: id, timers: timers).around(handler)
        }
        // Before its counters are looked up: nobody forgets them from here on.
        registry.withLock { _ = $0.named[name, default: []].insert(id) }
        return Subscriber(id: id, filters: filters, options: options, services: services, form: form, handler: handler)
    }

    /// Makes a subscription known: events come from now on.
    func add(_ subscription: Subscription) {
        let subscriber = subscription.subscriber
        let cluster = registry.withLock { registry in
            registry.subscriptions[subscriber.id] = subscription
            observeGauges(of: subscription.name)
            return registry.cluster
        }
        subscriber.resume(on: self)  // before anything new
        router.add(.local(subscriber), filters: subscription.filters)
        if journal != nil { subscriber.resume(on: self) }  // what came back between the two
        if subscriber.options.isRemote { cluster?.subscribed(subscriber) }
    }

    /// Keeps a subscription in sight of ``stop(deadline:)`` although it will be removed.
    func noteEnding(_ subscription: Subscription) { registry.withLock { $0.ending[subscription.subscriber.id] = subscription } }

    /// Nothing is left in the queue of a subscription.
    func noteEnded(_ id: UInt32) { _ = registry.withLock { $0.ending.removeValue(forKey: id) } }

    /// Nobody sends to a subscription any more, which is still at work on what it has.
    func withdraw(_ subscription: Subscription) {
        let (isFirst, cluster) = registry.withLock { registry in
            let id = subscription.subscriber.id
            return (registry.subscriptions[id] != nil && registry.withdrawn.insert(id).inserted, registry.cluster)
        }
        if isFirst { unroute(subscription, cluster) }
    }

    func remove(_ subscription: Subscription) {
        let (isRouted, cluster) = registry.withLock { registry in
            let id = subscription.subscriber.id
            let isKnown = registry.subscriptions.removeValue(forKey: id) != nil
            let isRouted = registry.withdrawn.remove(id) == nil && isKnown
            registry.named[subscription.name]?.remove(subscription.subscriber.id)
            if registry.named[subscription.name]?.isEmpty == true {
                registry.named[subscription.name] = nil
                forgetGauges(of: subscription.name)
            }
            return (isRouted, registry.cluster)
        }
        if isRouted { unroute(subscription, cluster) }
    }

    private func unroute(_ subscription: Subscription, _ cluster: (any ClusterAttachment)?) {
        router.remove(.local(subscription.subscriber), filters: subscription.filters)
        if subscription.subscriber.options.isRemote { cluster?.unsubscribed(subscription.subscriber) }
    }
}
