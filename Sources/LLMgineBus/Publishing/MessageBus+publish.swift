public import LLMgineCore
import LLMgineObservability
import Synchronization

package import struct LLMgineBroker.LeafID
import struct NIOCore.ByteBuffer

/// How one event is published.
public struct PublishOptions: Sendable {
    /// The class that it travels in. Default normal.
    public var priority: Priority
    /// The session that it belongs to. Default: none.
    public var session: SessionID
    /// What travels beside it. Default: nothing.
    public var headers: Headers
    /// How long it is worth delivering. Default: for ever.
    public var timeToLive: Duration?
    /// The span that causes it. Default: the current one of the task.
    public var trace: TraceContext?

    /// Options with the documented defaults.
    public init(
        priority: Priority = .normal, session: SessionID = .bus, headers: Headers = Headers(), timeToLive: Duration? = nil,
        trace: TraceContext? = nil
    ) {
        self.priority = priority
        self.session = session
        self.headers = headers
        self.timeToLive = timeToLive
        self.trace = trace
    }

    /// Whether nothing travels beside the event.
    var isPlain: Bool {
        @inline(__always) get { trace == nil && timeToLive == nil && headers.isEmpty }
    }
}

extension MessageBus {
    /// Publishes an event to everyone who is subscribed to the topic, on this node and on all others.
    ///
    /// Returns once the event is in the queue of every subscription that matched, which is at once unless one of them asks publishers to wait
    /// (``WhenFull/block(deadline:)``) and is full, or to slow down (``WhenFull/adaptiveRateLimit(deadline:)``). What became of the event is in the receipt; a slow subscriber is not an error.
    /// - Parameter topic: where to; by default the event type's own topic.
    /// - Throws: `stopped`, `badPayload` if it must be encoded and cannot be, `cancelled` if the task is cancelled while it waits,
    ///   `limitExceeded` if nobody matches but nodes to which no link may carry it, `permissionDenied` if a topic permission of the node stands against it.
    @discardableResult
    public func publish<E: Event>(
        _ event: E, to topic: Topic = E.topic, options: PublishOptions = PublishOptions()
    ) async throws(LLMgineError) -> PublishReceipt {
        try checkRunning()
        let number = sequence.add(1, ordering: .relaxed).newValue
        if let receipt = publishAtOnce(event, to: topic, number: number, options: options) { return receipt }
        return try await publishInTurn(event, to: topic, number: number, options: options)
    }

    /// All other cases. A function of its own, because the frame that they need is two kilobytes, which the usual case would have to make room for.
    @inline(never)
    private func publishInTurn<E: Event>(
        _ event: E, to topic: Topic, number: UInt64, options: PublishOptions
    ) async throws(LLMgineError) -> PublishReceipt {
        guard observability.tracer.isEnabled else {
            return try checked(await publish(event, to: topic, number: number, options: options, trace: options.trace))
        }
        let (trace, span) = observability.tracer.begin(.publish, topic, below: options.trace)
        do throws(LLMgineError) {
            let receipt = try checked(await publish(event, to: topic, number: number, options: options, trace: trace))
            span?.end(on: observability.tracer, notes: [.messageID(receipt.id), .eventType(E.eventType)])
            return receipt
        } catch {
            span?.end(on: observability.tracer, error: error)
            throw error
        }
    }

    /// Nobody got an event that found all its subscriptions closed because the bus has stopped meanwhile: its publisher is told so.
    /// - Throws: `stopped`.
    private func checked(_ receipt: PublishReceipt) throws(LLMgineError) -> PublishReceipt {
        if receipt.matched == 0 { try checkRunning() }
        return receipt
    }

    /// The usual case, which needs no suspension point and so no frame of its own: no tracing, and one subscription on this node that has room.
    /// - Returns: nil, with nothing done, in all other cases.
    private func publishAtOnce<E: Event>(
        _ event: E, to topic: borrowing Topic, number: UInt64, options: borrowing PublishOptions
    ) -> PublishReceipt? {
        guard !observability.tracer.isEnabled else { return nil }
        let route = router.route(for: topic, in: options.session)
        let offer: SubscriberOffer? = route.withSole { subscriber in
            guard subscriber.valueType == ObjectIdentifier(E.self) else { return nil }
            let extras =
                options.isPlain
                ? nil : MessageExtras(headers: options.headers, trace: options.trace, timeToLive: options.timeToLive)
            return subscriber.mailbox.offer(
                event, sequence: number, extras: extras, topic: topic, session: options.session, priority: options.priority)
        }
        guard let offer else { return nil }
        switch offer {
        case .full, .closed: return nil
        case .accepted, .rejected: break
        }
        var receipt = PublishReceipt(id: MessageID(node: identity.node, incarnation: identity.incarnation, sequence: number))
        receipt.count(offer)
        return receipt
    }

    /// The same for bytes that only one link wants.
    private func publishAtOnce(_ message: borrowing Message, number: UInt64) throws(LLMgineError) -> PublishReceipt? {
        guard !observability.tracer.isEnabled else { return nil }
        let route = router.route(for: message.topic, in: message.session)
        guard route.locals.isEmpty, route.groups.isEmpty, route.filters == nil, route.refusal == nil, route.remotes.count == 1 else {
            return nil
        }
        let offer = route.remotes[0].offer(message, sequence: number)
        switch offer {
        case .full, .paced: return nil
        case .failed(let error): throw error
        case .accepted, .refused, .closed:
            var receipt = PublishReceipt(
                id: MessageID(node: identity.node, incarnation: identity.incarnation, sequence: number), matched: 1)
            receipt.count(offer)
            return receipt
        }
    }

    private func publish<E: Event>(
        _ event: E, to topic: Topic, number: UInt64, options: PublishOptions, trace: TraceContext?
    ) async throws(LLMgineError) -> PublishReceipt {
        let route = router.route(for: topic, in: options.session)
        if let refusal = route.refusal { throw denied(refusal, "publish") }
        var receipt = PublishReceipt(id: MessageID(node: identity.node, incarnation: identity.incarnation, sequence: number))
        if let filters = route.filters, !filters.admits(PublishedEvent(event, to: topic, options)) { return receipt }
        if route.isStaged {
            return try await TrackedPublish(
                event, to: topic, number: number, options: options, trace: trace, bus: self, watch: nil
            ).run(along: route)
        }
        let extras = MessageExtras(headers: options.headers, trace: trace, timeToLive: options.timeToLive)
        // Before anybody has it: an event that does not encode goes to nobody.
        let encoded = route.needsMessage(of: E.self) ? try encode(event, to: topic, options: options, trace: trace) : nil
        let offer = { (subscriber: AnySubscriber) -> SubscriberOffer? in
            if subscriber.valueType == ObjectIdentifier(E.self) {
                return subscriber.mailbox.offer(
                    event, sequence: number, extras: extras, topic: topic, session: options.session, priority: options.priority)
            }
            guard subscriber.takes(eventType: E.eventType) else { return nil }
            guard subscriber.members == nil, let encoded else {
                return subscriber.offer(lifting: event, to: topic, number: number, options: options, extras: extras)
            }
            return subscriber.mailbox.offer(encoded, sequence: number, extras: extras)
        }
        var late: [(AnySubscriber, since: HoldStart)] = []
        for subscriber in route.locals {
            guard let offer = offer(subscriber) else { continue }
            receipt.count(offer)
            if case .full = offer { late.append((subscriber, since: HoldStart(subscriber.mailbox))) }
        }
        if let encoded, !route.isPlain {
            try await finish(
                publishing: encoded, over: encoded.message, number: number, route: route, receipt: &receipt, extras: { _ in extras })
        }
        for (subscriber, since) in late {
            let id = receipt.id
            try await insist(on: subscriber, since: since, &receipt) {
                offer(subscriber) ?? .closed
            } copy: {
                (try? encoded ?? encode(event, to: topic, options: options, trace: trace)).map {
                    SpillCopy(message: $0, sequence: number, extras: extras)
                }
            } refused: {
                keep(refused: event, to: topic, options: options, id, by: subscriber)
            }
        }
        return receipt
    }

    /// Publishes bytes as they are. - Throws: as for events.
    @discardableResult
    public func publish(_ message: Message) async throws(LLMgineError) -> PublishReceipt {
        try checkRunning()
        let number = sequence.add(1, ordering: .relaxed).newValue
        if let receipt = try publishAtOnce(message, number: number) { return receipt }
        return try await publish(message, numbered: number, from: nil)
    }

    /// The same for a message that a leaf published: its own subscriptions do not get it back, and to all others it is the leaf's.
    @discardableResult
    package func publish(_ message: Message, from leaf: LeafID, as origin: MessageID) async throws(LLMgineError) -> PublishReceipt {
        try checkRunning()
        let relayed = Relayed(leaf: leaf, origin: origin)
        return try await publish(message, numbered: sequence.add(1, ordering: .relaxed).newValue, from: relayed)
    }

    /// What is known of a message that this node passes on for a leaf.
    private struct Relayed {
        let leaf: LeafID
        let origin: MessageID
    }

    @inline(never)  // as for events
    private func publish(_ message: Message, numbered number: UInt64, from leaf: Relayed?) async throws(LLMgineError) -> PublishReceipt {
        guard observability.tracer.isEnabled else { return try checked(await publish(message, number: number, from: leaf)) }
        let (trace, span) = observability.tracer.begin(.publish, message.topic, below: message.trace)
        var message = message
        message.trace = trace
        do throws(LLMgineError) {
            let receipt = try checked(await publish(message, number: number, from: leaf))
            span?.end(on: observability.tracer, notes: [.messageID(receipt.id), .bodySize(message.payload.readableBytes)])
            return receipt
        } catch {
            span?.end(on: observability.tracer, error: error)
            throw error
        }
    }

    private func publish(_ plain: Message, number: UInt64, from leaf: Relayed?) async throws(LLMgineError) -> PublishReceipt {
        let route = router.route(for: plain.topic, in: plain.session)
        // What goes over a link says whose it is; on this node the envelope does.
        let message = leaf.map { plain.stamped(with: $0.origin) } ?? plain
        if let refusal = route.refusal, leaf == nil { throw denied(refusal, "publish") }
        var receipt = PublishReceipt(id: MessageID(node: identity.node, incarnation: identity.incarnation, sequence: number))
        if let filters = route.filters, !filters.admits(PublishedEvent(message)) { return receipt }
        if route.locals.isEmpty, route.groups.isEmpty {
            try await send(message, number: number, to: route.remotes, &receipt)
            return receipt
        }
        let extras = MessageExtras(headers: plain.headers, trace: plain.trace, timeToLive: plain.timeToLive)
        let encoded = EncodedMessage(plain, origin: leaf?.origin)
        var stages = route.isStaged ? HandlerStages(of: self) : nil
        var late: [(AnySubscriber, MessageExtras?, since: HoldStart)] = []
        for subscriber in route.locals where subscriber.takes(eventType: message.eventType) {
            if let leaf, subscriber.options.relaysFor == leaf.leaf { continue }
            let extras = stages?.extras(of: plain, for: subscriber) ?? extras
            let offer = subscriber.mailbox.offer(encoded, sequence: number, extras: extras)
            receipt.count(offer)
            if case .full = offer { late.append((subscriber, extras, since: HoldStart(subscriber.mailbox))) }
        }
        try await finish(
            publishing: encoded, over: message, number: number, route: route, receipt: &receipt, extras: { _ in extras })
        for (subscriber, extras, since) in late {
            let id = leaf?.origin ?? receipt.id
            try await insist(on: subscriber, since: since, &receipt) {
                subscriber.mailbox.offer(encoded, sequence: number, extras: extras)
            } copy: {
                SpillCopy(message: encoded, sequence: number, extras: extras)
            } refused: {
                subscriber.keep(refused: plain, id)
            }
        }
        return receipt
    }

    func encode<E: Event>(_ event: E, to topic: Topic, options: PublishOptions, trace: TraceContext?) throws(LLMgineError)
        -> EncodedMessage
    {
        var payload = ByteBuffer()
        do { try event.encode(into: &payload) } catch {
            throw LLMgineError(.badPayload, "an event of type \(E.eventType) does not encode", cause: error)
        }
        return EncodedMessage(
            Message(
                topic: topic, payload: payload, eventType: E.eventType, priority: options.priority, session: options.session,
                headers: options.headers,
                trace: trace, timeToLive: options.timeToLive))
    }

    /// Links and groups, which may have to be waited for: first all that have room get it. The subscriptions of this node that have room have been served.
    /// - Parameter extras: what travels beside it to a member of a group on this node.
    func finish(
        publishing message: EncodedMessage, over wire: Message, number: UInt64, route: Route, receipt: inout PublishReceipt,
        extras: (RouteGroup) -> MessageExtras?
    ) async throws(LLMgineError) {
        var failures = LinkFailures()
        let held = offer(wire, number: number, to: route.remotes, &receipt, &failures)
        var heldGroups: [GroupPublish] = []
        for group in route.groups {
            var publish = GroupPublish(message, over: wire, number: number, extras: extras(group))
            if !publish.offer(to: group, &receipt, &failures) { heldGroups.append(publish) }
        }
        for remote in held { failures.note(try await insist(on: remote, wire, number, &receipt), &receipt) }
        for index in heldGroups.indices { try await heldGroups[index].insist(on: self, &receipt, &failures) }
        try failures.check(receipt)
    }

    /// The same if there are only links.
    private func send(_ message: Message, number: UInt64, to remotes: [any RemoteRoute], _ receipt: inout PublishReceipt)
        async throws(LLMgineError)
    {
        var failures = LinkFailures()
        let held = offer(message, number: number, to: remotes, &receipt, &failures)
        for remote in held { failures.note(try await insist(on: remote, message, number, &receipt), &receipt) }
        try failures.check(receipt)
    }
}

extension PublishReceipt {
    /// From when on a wait counts that began with an offer at `first`: from there, unless others were waited for meanwhile, which is counted already.
    func uncounted(since first: ContinuousClock.Instant) -> ContinuousClock.Instant { waited == .zero ? first : .now }

    mutating func count(_ offer: SubscriberOffer) {
        switch offer {
        case .accepted(let evicted):
            matched += 1
            accepted += 1
            self.evicted += evicted
        case .rejected:
            matched += 1
            rejected += 1
        case .full: matched += 1
        case .closed: break
        }
    }

    /// The match was counted before.
    mutating func count(_ outcome: SpillLine.Outcome) {
        switch outcome {
        case .written:
            accepted += 1
            spilled += 1
        case .refused: rejected += 1
        case .ended: matched -= 1
        }
    }

    /// The caller has counted the match.
    mutating func count(_ offer: RemoteOffer) {
        switch offer {
        case .accepted(let evicted, let rejected):
            accepted += 1
            self.evicted += evicted
            self.rejected += rejected
        case .refused, .failed: rejected += 1
        case .full, .paced: break
        case .closed: matched -= 1
        }
    }
}
