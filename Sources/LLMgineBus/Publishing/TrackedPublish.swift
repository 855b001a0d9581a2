import LLMgineCore
import LLMgineObservability

/// One publish whose handlers are waited for, by the publisher or by each other: the long way round, in which each subscription gets a copy with a token of
/// its own.
final class TrackedPublish<E: Event> {
    private let event: E
    private let topic: Topic
    private let number: UInt64
    private let options: PublishOptions
    private let trace: TraceContext?
    private let bus: MessageBus
    /// Whether the publisher waits, and for whom.
    private let watch: DeliveryWatch?
    private var stages: HandlerStages?
    /// The subscription whose handler publishes, and those that it waits for.
    private let caller: UInt32?
    private var targets: [UInt32] = []
    /// Not waited for, because they wait for the caller.
    private var circular: [String] = []
    private var encoded: EncodedMessage?

    init(_ event: E, to topic: Topic, number: UInt64, options: PublishOptions, trace: TraceContext?, bus: MessageBus, watch: DeliveryWatch?)
    {
        self.event = event
        self.topic = topic
        self.number = number
        self.options = options
        self.trace = trace
        self.bus = bus
        self.watch = watch
        caller = watch == nil ? nil : bus.callingSubscription
    }

    /// Queues the event, which the filters have admitted.
    func run(along route: Route) async throws(LLMgineError) -> PublishReceipt {
        var receipt = PublishReceipt(id: MessageID(node: bus.identity.node, incarnation: bus.identity.incarnation, sequence: number))
        try await send(along: route, &receipt)
        return receipt
    }

    /// Queues the event and waits for its handlers.
    func run(until end: ContinuousClock.Instant) async throws(LLMgineError) -> PublishReceipt {
        let route = bus.router.route(for: topic, in: options.session)
        if let refusal = route.refusal { throw bus.denied(refusal, "publish") }
        if let filters = route.filters, !filters.admits(PublishedEvent(event, to: topic, options)) {
            return PublishReceipt(id: MessageID(node: bus.identity.node, incarnation: bus.identity.incarnation, sequence: number))
        }
        var receipt = try await run(along: route)
        // Nobody got an event that found all its subscriptions closed because the bus has stopped meanwhile: its publisher is told so.
        if receipt.matched == 0 { try bus.checkRunning() }
        guard let watch else { return receipt }
        let started = ContinuousClock.now
        let verdict = await watch.wait(until: end, on: bus.timers)
        receipt.waited += ContinuousClock.now - started
        receipt.slow += circular
        switch verdict {
        case .done: break
        case .late: receipt.slow += watch.unfinished
        case .cancelled:
            throw LLMgineError(.cancelled, "the publishing task was cancelled while it waited for the handlers of its event")
        }
        return receipt
    }

    func end() {
        guard let caller else { return }
        for target in targets { bus.waits.end(caller, for: target) }
    }

    private func send(along route: Route, _ receipt: inout PublishReceipt) async throws(LLMgineError) {
        var late: [(AnySubscriber, MessageExtras, since: HoldStart)] = []
        if route.isStaged { stages = HandlerStages(of: bus) }
        // Before anybody has it: an event that does not encode goes to nobody.
        if route.needsMessage(of: E.self) { encoded = try bus.encode(event, to: topic, options: options, trace: trace) }
        for subscriber in route.locals where subscriber.valueType == ObjectIdentifier(E.self) || subscriber.takes(eventType: E.eventType) {
            let extras = extras(for: subscriber)
            let offer = offer(to: subscriber, extras)
            receipt.count(offer)
            if case .full = offer { late.append((subscriber, extras, since: HoldStart(subscriber.mailbox))) }
        }
        if let encoded, !route.isPlain {
            try await bus.finish(publishing: encoded, over: encoded.message, number: number, route: route, receipt: &receipt) { group in
                extras(with: token(for: group.locals, called: group.name))
            }
        }
        for (subscriber, extras, since) in late {
            let id = receipt.id
            try await bus.insist(on: subscriber, since: since, &receipt) {
                offer(to: subscriber, extras)
            } copy: {
                (try? encoded ?? bus.encode(event, to: topic, options: options, trace: trace)).map {
                    SpillCopy(message: $0, sequence: number, extras: extras)
                }
            } refused: {
                bus.keep(refused: event, to: topic, options: options, id, by: subscriber)
            }
        }
    }

    /// What travels with the copy for one handler: with a token, unless it waits for the caller, and with its place among the handlers.
    private func extras(for subscriber: AnySubscriber) -> MessageExtras {
        let token = token(for: [subscriber], called: subscriber.name)
        let place = stages?.place(for: subscriber, and: token)
        return extras(with: place?.token ?? token, behind: place?.gate)
    }

    private func extras(with token: DeliveryToken?, behind gate: HandlerStage? = nil) -> MessageExtras {
        let expires = options.timeToLive.map { ContinuousClock.now.advanced(bySaturating: $0) }
        return MessageExtras(headers: options.headers, trace: trace, expires: expires, token: token, gate: gate)
    }

    /// Tells the publisher when a copy is done with that goes to one of the candidates; nil if it does not wait, or one of them waits for the caller.
    private func token(for candidates: [AnySubscriber], called name: String) -> DeliveryToken? {
        guard let watch else { return nil }
        guard mayWait(for: candidates) else {
            circular.append(name)
            return nil
        }
        return watch.token(for: name)
    }

    private func mayWait(for candidates: [AnySubscriber]) -> Bool {
        guard let caller else { return true }
        var begun: [UInt32] = []
        for candidate in candidates {
            guard bus.waits.begin(caller, for: candidate.id) else {
                for target in begun { bus.waits.end(caller, for: target) }
                return false
            }
            begun.append(candidate.id)
        }
        targets += begun
        return true
    }

    private func offer(to subscriber: AnySubscriber, _ extras: MessageExtras) -> SubscriberOffer {
        if subscriber.valueType == ObjectIdentifier(E.self) {
            return subscriber.mailbox.offer(
                event, sequence: number, extras: extras, topic: topic, session: options.session, priority: options.priority)
        }
        guard let encoded, subscriber.needsMessage(of: E.self) else {
            return subscriber.offer(lifting: event, to: topic, number: number, options: options, extras: extras) ?? .closed
        }
        return subscriber.mailbox.offer(encoded, sequence: number, extras: extras)
    }
}

extension Route {
    /// Whether an event of the type must be encoded for somebody.
    func needsMessage<E: Event>(of type: E.Type) -> Bool {
        !isPlain || locals.contains { $0.needsMessage(of: type) && $0.takes(eventType: E.eventType) }
    }
}

extension AnySubscriber {
    /// Whether an event of the type must be encoded for the handler.
    func needsMessage<E: Event>(of type: E.Type) -> Bool { valueType != ObjectIdentifier(type) && members == nil }
}
