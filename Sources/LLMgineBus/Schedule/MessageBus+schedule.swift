public import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import ServiceContextModule
import Synchronization

public import struct FoundationEssentials.Date
import struct NIOCore.ByteBuffer

extension MessageBus {
    /// Publishes an event at a moment, or at once if it has passed.
    ///
    /// Nothing waits for it, least of all `publish`. With a store, the event outlives the process once this returns: the next life publishes it, and
    /// publishes it again if the process ends between publishing it and forgetting it (at least once).
    /// - Parameter topic: where to; by default the event type's own topic.
    /// - Throws: `badPayload` if it does not encode, `invalidArgument` for a moment more than a hundred years ahead, `limitExceeded` when
    ///   ``BusConfiguration/scheduleCapacity`` events wait, `storageFailed` if it cannot be kept, `stopped`.
    @discardableResult
    public func schedule<E: Event>(
        _ event: E, at moment: Date, to topic: Topic = E.topic, options: PublishOptions = PublishOptions()
    ) async throws(LLMgineError) -> ScheduledEvent {
        let message = try encode(event, to: topic, options: options)
        return try await schedule(message, at: moment)
    }

    /// Publishes an event after a delay. - Throws: as for a moment.
    @discardableResult
    public func schedule<E: Event>(
        _ event: E, after delay: Duration, to topic: Topic = E.topic, options: PublishOptions = PublishOptions()
    ) async throws(LLMgineError) -> ScheduledEvent {
        try checkRunning()
        let message = try encode(event, to: topic, options: options)
        return try await eventSchedule.add(message, due: try WallClock.after(delay), isDelay: true, on: self)
    }

    /// Publishes bytes at a moment, as they are. - Throws: as for events.
    @discardableResult
    public func schedule(_ message: Message, at moment: Date) async throws(LLMgineError) -> ScheduledEvent {
        try checkRunning()
        try WallClock.check(moment)
        return try await eventSchedule.add(message, due: moment, isDelay: false, on: self)
    }

    /// Calls a scheduled event off, also in the store.
    /// - Returns: the event; nil if it has been published already, or was never scheduled here.
    /// - Throws: `storageFailed` if it could not be removed there: this life does not publish it, the next one may.
    @discardableResult
    public func cancelScheduled(_ id: ScheduledEvent.ID) async throws(LLMgineError) -> ScheduledEvent? {
        try await eventSchedule.cancel(id)
    }

    /// The events that wait for their time, earliest first.
    public var scheduledEvents: [ScheduledEvent] { eventSchedule.list }

    /// Takes up what an earlier life of the process left in the store: publishes scheduled events that are due, at once, and the others at their
    /// time; announces outcomes of approvals that were known and not announced; lets pending approvals end in time.
    ///
    /// To be called once the handlers are there, because what is published before finds nobody. `ApplicationBootstrap.run` calls it.
    public func resume() async {
        eventSchedule.resume(on: self)
        await approvals.resume(on: self)
    }

    /// Has the store write what it was told, for as long as a stop may take.
    func flushStore(by end: ContinuousClock.Instant) async {
        guard let store else { return }
        let completion = Completion()
        // On its own, because a disk may never answer.
        Task {
            await store.flush()
            completion.finish()
        }
        _ = await completion.wait(until: end, on: timers)
    }

    var isRunning: Bool { lifecycle.load(ordering: .relaxed) == Lifecycle.running.rawValue }

    /// The event as a message of the span that schedules it.
    func encode<E: Event>(_ event: E, to topic: Topic, options: PublishOptions) throws(LLMgineError) -> Message {
        var payload = ByteBuffer()
        do { try event.encode(into: &payload) } catch {
            throw LLMgineError(.badPayload, "an event of type \(E.eventType) does not encode", cause: error)
        }
        let trace = options.trace ?? (observability.tracer.isEnabled ? ServiceContext.current?.llmgineTrace : nil)
        return Message(
            topic: topic, payload: payload, eventType: E.eventType, priority: options.priority, session: options.session,
            headers: options.headers, trace: trace, timeToLive: options.timeToLive)
    }

    /// A scheduled event that could not be published, for good.
    package func bury(_ event: ScheduledEvent, _ error: LLMgineError) {
        let now = SystemClock.sinceEpoch()
        let id = MessageID(
            node: identity.node, incarnation: identity.incarnation, sequence: sequence.add(1, ordering: .relaxed).newValue)
        deadLetters.add(
            message: id, content: event.message, subscription: DeadLetter.schedule, error: error, encodingError: nil, attempts: 1,
            firstAttempt: now, lastAttempt: now)
        observeBurial(of: event.message, called: event.id.text, error)
    }

    /// Publishes such an event once more. If it cannot even be scheduled, it is a new letter before the old one goes.
    func scheduleAgain(_ letter: DeadLetter, _ token: DeliveryToken) -> Bool {
        guard isRunning else { return false }
        // Unstructured because nobody waits for the result.
        Task {
            do throws(LLMgineError) {
                try await schedule(letter.content, at: WallClock.now)
            } catch {
                bury(again: letter, error)
            }
            token.settle()
        }
        return true
    }

    private func bury(again letter: DeadLetter, _ error: LLMgineError) {
        deadLetters.add(
            message: letter.message, content: letter.content, subscription: DeadLetter.schedule, error: error, encodingError: nil,
            attempts: letter.attempts + 1, firstAttempt: letter.firstAttempt, lastAttempt: SystemClock.sinceEpoch())
        observeBurial(of: letter.content, called: "\(letter.message)", error)
    }

    private func observeBurial(of message: Message, called id: String, _ error: LLMgineError) {
        observability.observe(
            ObservedEvent(
                eventID: id, eventType: "DeadLettered", timestamp: observability.tracer.clock.now(),
                session: message.session, topic: message.topic,
                metadata: [.init("handler", DeadLetter.schedule), .init("error", error.code.rawValue)]))
    }
}

extension DeadLetter {
    /// What stands for a subscription where an event could not even be published.
    static let schedule = "scheduled events"
    var isOfSchedule: Bool { subscription == DeadLetter.schedule }
}

extension ScheduledEvent.ID {
    /// The number at the end of `node/incarnation/s7`; nil for another text, and for numbers that cannot be counted on from.
    var number: UInt64? { text.split(separator: "/").last.flatMap { UInt64($0.dropFirst()) }.flatMap { $0 < .max >> 1 ? $0 : nil } }
}

extension ApprovalID {
    /// The number at the end of `node/incarnation/a7`, likewise.
    var number: UInt64? { text.split(separator: "/").last.flatMap { UInt64($0.dropFirst()) }.flatMap { $0 < .max >> 1 ? $0 : nil } }
}
