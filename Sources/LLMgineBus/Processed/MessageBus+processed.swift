public import LLMgineCore
import LLMgineObservability
import Synchronization

extension MessageBus {
    /// Publishes an event and returns once it is queued, or once the handlers of this node are done with it.
    /// - Throws: as ``publish(_:to:options:)``; `cancelled` also if the task is cancelled while it waits for handlers: then the event is published
    ///   all the same.
    @discardableResult
    public func publish<E: Event>(
        _ event: E, to topic: Topic = E.topic, options: PublishOptions = PublishOptions(), until: PublishUntil
    ) async throws(LLMgineError) -> PublishReceipt {
        guard case .processed(let limit) = until else { return try await publish(event, to: topic, options: options) }
        try checkRunning()
        let number = sequence.add(1, ordering: .relaxed).newValue
        let tracer = observability.tracer
        let (trace, span) = tracer.isEnabled ? tracer.begin(.publish, topic, below: options.trace) : (options.trace, nil)
        let publishing = WatchedPublish(event, to: topic, number: number, options: options, trace: trace, bus: self)
        defer { publishing.end() }
        do throws(LLMgineError) {
            let receipt = try await publishing.run(until: .now + limit)
            span?.end(on: tracer, notes: [.messageID(receipt.id), .eventType(E.eventType)])
            return receipt
        } catch {
            span?.end(on: tracer, error: error)
            throw error
        }
    }
}

/// One publish whose handlers are waited for: the long way round, in which each subscription gets a copy with a token of its own.
private final class WatchedPublish<E: Event> {
    private let event: E
    private let topic: Topic
    private let number: UInt64
    private let options: PublishOptions
    private let trace: TraceContext?
    private let bus: MessageBus
    private let watch = DeliveryWatch()
    /// The subscription whose handler publishes, and those that it waits for.
    private let caller: UInt32?
    private var targets: [UInt32] = []
    /// Not waited for, because they wait for the caller.
    private var circular: [String] = []
    private var encoded: EncodedMessage?

    init(_ event: E, to topic: Topic, number: UInt64, options: PublishOptions, trace: TraceContext?, bus: MessageBus) {
        self.event = event
        self.topic = topic
        self.number = number
        self.options = options
        self.trace = trace
        self.bus = bus
        caller = bus.callingSubscription
    }

    func run(until end: ContinuousClock.Instant) async throws(LLMgineError) -> PublishReceipt {
        let route = bus.router.route(for: topic, in: options.session)
        var receipt = PublishReceipt(id: MessageID(node: bus.identity.node, incarnation: bus.identity.incarnation, sequence: number))
        if let filters = route.filters, !filters.admits(PublishedEvent(event, to: topic, options)) { return receipt }
        try await send(along: route, &receipt)
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
        var late: [(AnySubscriber, MessageExtras)] = []
        for subscriber in route.locals where subscriber.valueType == ObjectIdentifier(E.self) || subscriber.takes(eventType: E.eventType) {
            let extras = extras(for: [subscriber], called: subscriber.name)
            if subscriber.needsMessage(of: E.self) { encoded = try message() }
            let offer = offer(to: subscriber, extras)
            receipt.count(offer)
            if case .full = offer { late.append((subscriber, extras)) }
        }
        if !route.isPlain { try await send(try message(), along: route, &receipt) }
        for (subscriber, extras) in late {
            let id = receipt.id
            try await bus.insist(on: subscriber, &receipt) {
                offer(to: subscriber, extras)
            } refused: {
                bus.keep(refused: event, to: topic, options: options, id, by: subscriber)
            }
        }
    }

    private func send(_ message: EncodedMessage, along route: Route, _ receipt: inout PublishReceipt) async throws(LLMgineError) {
        try await bus.send(message.message, number: number, to: route.remotes, receipt: &receipt)
        for group in route.groups {
            let extras = extras(for: group.locals, called: group.name)
            try await bus.publish(message, over: message.message, number: number, extras: extras, to: group, receipt: &receipt)
        }
    }

    /// What travels with one copy, which goes to one of the candidates: with a token, unless one of them waits for the caller.
    private func extras(for candidates: [AnySubscriber], called name: String) -> MessageExtras {
        let expires = options.timeToLive.map { ContinuousClock.now + $0 }
        let token = mayWait(for: candidates) ? watch.token(for: name) : nil
        if token == nil { circular.append(name) }
        return MessageExtras(headers: options.headers, trace: trace, expires: expires, token: token)
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

    private func message() throws(LLMgineError) -> EncodedMessage {
        if let encoded { return encoded }
        let message = try bus.encode(event, to: topic, options: options, trace: trace)
        encoded = message
        return message
    }
}

extension AnySubscriber {
    /// Whether an event of the type must be encoded for the handler.
    fileprivate func needsMessage<E: Event>(of type: E.Type) -> Bool { valueType != ObjectIdentifier(type) && members == nil }
}
