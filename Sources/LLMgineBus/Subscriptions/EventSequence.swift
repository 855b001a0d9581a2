public import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

/// The events of a subscription as an asynchronous sequence, at the pace of whoever reads.
///
/// An event leaves the queue when the next one is asked for, so a slow reader fills the queue, and a full queue does what
/// ``SubscriptionOptions/whenFull`` says. The subscription begins when the sequence is made and ends with its iterator, with the task that
/// reads, or with the bus; what is queued then goes to the dead letters. One iterator, used by one task at a time. The reader stands among the
/// handlers of an event by its ``HandlerPriority``, and is done with the event when it asks for the next one.
///
/// ```swift
/// for await (order, context) in try await bus.events(OrderPlaced.self) { ... }
/// ```
public struct EventSequence<Value: Sendable>: AsyncSequence, Sendable {
    /// One event with what is known of it.
    public typealias Element = (event: Value, context: EventContext)
    /// Reading never fails: what cannot be decoded goes to the dead letters.
    public typealias Failure = Never

    private let reader: EventReader<Value>

    init(_ reader: EventReader<Value>) { self.reader = reader }

    /// The subscription behind the sequence.
    public var subscription: Subscription { reader.subscription }

    /// Reads the events. The subscription ends when the iterator is let go of.
    public func makeAsyncIterator() -> Iterator { Iterator(token: Iterator.Token(reader)) }

    /// Reads one event after another.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let token: Token

        fileprivate final class Token: Sendable {
            let reader: EventReader<Value>
            init(_ reader: EventReader<Value>) { self.reader = reader }
            deinit { reader.end() }
        }

        /// The next event; nil when the subscription has ended.
        public mutating func next() async -> Element? { await token.reader.next() }
        /// The next event; nil when the subscription has ended.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> Element? { await token.reader.next() }
    }
}

/// A consumer without a task of its own: whoever asks for the next event does its work.
final class EventReader<Value: Sendable>: Sendable {
    private struct State {
        var taken: TakenLanes
        /// What the reader was given last and is still at work on.
        var current: Delivery<Value>?
        /// Whether the reader has not been given the current event yet, because it is being decoded or handlers that come before the reader are at
        /// work on it.
        var isPending = false
        /// The wait for them, which the end of the subscription ends.
        var wait: Task<HandlerStage.Verdict, Never>?
        var isOver = false
    }

    private let subscriber: Subscriber<Value>
    let subscription: Subscription
    private let state: Mutex<State>

    init(_ subscriber: Subscriber<Value>, bus: MessageBus) {
        self.subscriber = subscriber
        state = Mutex(State(taken: TakenLanes(ValueLayout(of: Value.self))))
        let ending = Ending()
        subscription = Subscription(subscriber: subscriber, bus: bus) { ending.run() }
        ending.action.withLock { $0 = { [weak self] in self?.end() } }
    }

    deinit { end() }

    func next() async -> (event: Value, context: EventContext)? {
        subscriber.consumer.store(CurrentTask.mark, ordering: .relaxed)
        while true {
            if Task.isCancelled { end() }
            switch step() {
            case .event(let value, let envelope):
                guard await passes(envelope) else { continue }
                return (value, EventContext(envelope, attempt: (envelope.trial?.letter.attempts ?? 0) + 1))
            case .again: continue
            case .over: return nil
            case .wait:
                let hasMore = await withTaskCancellationHandler {
                    await subscriber.mailbox.waitForWork()
                } onCancel: {
                    end()
                }
                if !hasMore { end() }
            }
        }
    }

    private enum Step {
        case event(Value, Envelope)
        case again, wait, over
    }

    private func step() -> Step {
        let (delivery, other): (Delivery<Value>?, Step) = state.withLock { state in
            if let current = state.current {
                state.current = nil
                handled(current)
            }
            guard !state.isOver else { return (nil, .over) }
            guard let next = subscriber.pull(&state.taken) else { return (nil, .wait) }
            guard !next.envelope.isExpired else {
                expire(next)
                return (nil, .again)
            }
            state.current = next
            state.isPending = next.envelope.extras?.gate != nil
            if case .message = next.body { state.isPending = true }
            return (next, .again)
        }
        guard let delivery else { return other }
        switch delivery.body {
        case .value(let value): return .event(value, delivery.envelope)
        case .message(let message): return decode(message, delivery.envelope)
        }
    }

    /// Makes the reader's event of the current one. If the subscription ends meanwhile, its end has put the event into the dead letters.
    private func decode(_ message: Message, _ envelope: Envelope) -> Step {
        do {
            let value = try subscriber.form.decode(message)
            let isOver = state.withLock { state in
                state.isPending = envelope.extras?.gate != nil
                return state.isOver
            }
            return isOver ? .over : .event(value, envelope)
        } catch {
            guard let delivery = state.withLock({ $0.current.take() }) else { return .over }
            let error = LLMgineError(.badPayload, "the payload is not what the reader takes", cause: error)
            subscriber.bury(message, nil, envelope, error, attempts: 0)
            subscriber.finished(with: delivery)
            return .again
        }
    }

    /// Nobody wants the event any more.
    private func expire(_ delivery: Delivery<Value>) {
        subscriber.statistics.expired.add(1, ordering: .relaxed)
        subscriber.finished(with: delivery)
    }

    /// The reader has asked for the next event, or ended.
    private func handled(_ delivery: Delivery<Value>) {
        subscriber.finished(with: delivery)
        subscriber.statistics.processed.add(1, ordering: .relaxed)
        subscriber.meters.processed.increment()
        if subscriber.isLate.load(ordering: .relaxed) { subscriber.isLate.store(false, ordering: .relaxed) }
    }

    /// Waits for the handlers that come before the reader.
    /// - Returns: false when the event is not for the reader: its time is over, or the subscription has ended and put it into the dead letters.
    private func passes(_ envelope: Envelope) async -> Bool {
        guard let gate = envelope.extras?.gate else { return true }
        // A task of its own, which the end of the subscription cancels whoever asks for it.
        let wait = Task { [subscriber] in await gate.wait(for: subscriber) }
        let isTooLate = state.withLock { state in
            state.wait = wait
            return state.isOver
        }
        if isTooLate { wait.cancel() }
        let verdict = await withTaskCancellationHandler {
            await wait.value
        } onCancel: {
            end()
        }
        let (isOver, isExpired) = state.withLock { state in
            state.wait = nil
            state.isPending = false
            let isExpired = envelope.isExpired
            if isExpired, let current = state.current.take() { expire(current) }
            return (state.isOver, isExpired)
        }
        guard !isOver else { return false }
        if verdict == .late { subscriber.noteOvertaking(envelope) }
        return !isExpired
    }

    /// Ends the subscription. The event that the reader is at work on counts as handled; one that it has not been given yet goes to the dead letters.
    func end() {
        subscription.stopTaking()
        let (isFirst, wait): (Bool, Task<HandlerStage.Verdict, Never>?) = state.withLock { state in
            guard !state.isOver else { return (false, nil) }
            state.isOver = true
            if let current = state.current {
                state.current = nil
                if state.isPending { subscriber.bury(current) } else { handled(current) }
            }
            subscriber.bury(&state.taken)
            state.taken.discard()
            return (true, state.wait)
        }
        wait?.cancel()
        if isFirst { subscription.ended() }
    }

    /// Lets the subscription know of the reader that is made after it.
    private final class Ending: Sendable {
        let action = Mutex<@Sendable () -> Void>({})
        func run() { action.withLock { $0 }() }
    }
}

extension MessageBus {
    /// The events of a type as an asynchronous sequence, from this call on. By default those that are published to the type's own topic.
    /// - Throws: `stopped`, `invalidArgument` for options that no subscription may have, `permissionDenied` if a topic permission of the node allows it
    ///   nothing that the filter matches.
    public func events<E: Event>(
        _ type: E.Type, on filter: TopicFilter? = nil, options: SubscriptionOptions = SubscriptionOptions()
    ) async throws(LLMgineError) -> EventSequence<E> {
        EventSequence(try read([filter ?? TopicFilter(E.topic)], options: options, form: .typed))
    }

    /// Messages with their bytes as they are, as an asynchronous sequence, from this call on.
    /// - Throws: `stopped`, `invalidArgument` without a filter or for options that no subscription may have, `permissionDenied` if a topic permission of
    ///   the node allows it nothing that the filters match.
    public func messages(
        on filters: TopicFilter..., options: SubscriptionOptions = SubscriptionOptions()
    ) async throws(LLMgineError) -> EventSequence<Message> {
        EventSequence(try read(filters, options: options, form: .raw))
    }

    private func read<Value: Sendable>(
        _ filters: [TopicFilter], options: SubscriptionOptions, form: ValueForm<Value>
    ) throws(LLMgineError) -> EventReader<Value> {
        let subscriber = try makeSubscriber(filters, options: options, form: form) { _, _ in }
        let reader = EventReader(subscriber, bus: self)
        add(reader.subscription)
        return reader
    }
}
