public import LLMgineCore
public import LLMgineResilience
import Synchronization

/// A handler's place on the bus. It lasts until ``cancel()``, or until the bus stops; letting go of the object does not end it.
public final class Subscription: Sendable {
    /// What receipts, dead letters, metrics and logs call it.
    public var name: String { subscriber.name }
    /// Which topics it wants.
    public var filters: [TopicFilter] { subscriber.filters }

    package let subscriber: AnySubscriber
    private let bus: MessageBus
    private let consumer = Mutex<Task<Void, Never>?>(nil)
    private let completion = Completion()
    /// Ends a reader that has no task of its own.
    private let onEnd: (@Sendable () -> Void)?

    init(subscriber: AnySubscriber, bus: MessageBus, onEnd: (@Sendable () -> Void)? = nil) {
        self.subscriber = subscriber
        self.bus = bus
        self.onEnd = onEnd
    }

    func run(_ operation: @escaping @Sendable () async -> Void) {
        // Unstructured because a subscription outlives the call that made it; `cancel()` and `stop()` end it and wait for it.
        consumer.withLock { task in
            task = Task { [completion, weak bus, id = subscriber.id] in
                await operation()
                completion.finish()
                bus?.noteEnded(id)
            }
        }
    }

    /// Returns once every node that can be reached knows of the subscription: what they publish from now on arrives here.
    /// - Throws: `deadlineExceeded` after 10 s, `stopped`.
    public func established(within deadline: Duration = .seconds(10)) async throws(LLMgineError) {
        try await bus.cluster?.established(deadline: deadline)
    }

    /// Takes no more events, cancels the handler that runs and waits for it to return, unless it is called by that handler. What is queued goes
    /// to the dead letters, with the error `stopped`: when the handler returns, or after half a second if it does not. The event that the handler
    /// is at work on then is not among them, because it may still succeed.
    public func cancel() async {
        await end(by: .now + MessageBus.gracePeriod)
        if !isCalledByItself { await completion.wait() }
    }

    /// Whether the caller is the handler, which cannot be waited for then.
    var isCalledByItself: Bool { subscriber.isCalledByHandler }

    /// Takes no more events, lets the handler finish what is queued, and returns when all of it has been handled. What is left at the deadline goes the
    /// way of ``cancel()``: the handler that runs is cancelled, and what is queued goes to the dead letters, with the error `stopped`. A handler that
    /// calls this for its own subscription cannot be waited for: its subscription is cancelled at once.
    public func finish(within deadline: Duration) async { await finish(by: .now.advanced(bySaturating: deadline)) }

    func finish(by end: ContinuousClock.Instant) async {
        // Nobody sends here any more, or it would be lost. With delivery at least once it is refused and goes to another member or back; and publishers
        // on other nodes give up what a subscription still has that they do not know any more.
        if subscriber.options.delivery.atLeastOnceOptions == nil { bus.withdraw(self) }
        subscriber.mailbox.close()
        if await drained(until: end) { return stopTaking() }
        await self.end(by: max(end, .now) + MessageBus.gracePeriod)
    }

    /// The same without waiting for the handler.
    func stopTaking() {
        bus.remove(self)
        subscriber.mailbox.close()
    }

    /// Ends the work on the queue.
    func giveUp() {
        subscriber.spill?.close()  // before the consumer ends: what came back after it would be nobody's
        consumer.withLock { $0 }?.cancel()
        subscriber.mailbox.abandon()  // after it: a consumer that leaves its chunk must find that it is cancelled
        onEnd?()
    }

    /// Nothing will be handled any more.
    func ended() { completion.finish() }

    /// Waits until the queue of a closed mailbox is empty and the handler has returned. False at the deadline.
    func drained(until end: ContinuousClock.Instant) async -> Bool {
        if isCalledByItself { return false }
        return await completion.wait(until: end, on: bus.timers)
    }

    /// Ends for good, with the handler if it returns in time and without it if not: what it has not begun is saved from it then.
    func end(by end: ContinuousClock.Instant) async {
        bus.noteEnding(self)
        stopTaking()
        giveUp()
        await subscriber.burySpill()
        if !isCalledByItself {
            await save(by: max(end, .now + Custody.settling))
        } else if !completion.isOver {
            return  // the handler that called this is still at work, and the consumer saves the queue when it returns
        }
        bus.noteEnded(subscriber.id)
    }

    /// Waits until the consumer has saved its queue, or does it in its place.
    private func save(by end: ContinuousClock.Instant) async {
        var end = end
        while await !completion.wait(until: end, on: bus.timers), !subscriber.buryQueue() {
            // The consumer is between two calls of the handler: it is about to end, or to enter the next.
            end = .now + Custody.settling
        }
    }

    /// Whether the circuit breaker lets events through to the handler.
    public var breakerState: BreakerState { subscriber.breaker.state }

    /// What the subscription has done so far.
    public var statistics: Statistics {
        let losses = subscriber.mailbox.losses
        let counters = subscriber.statistics
        return Statistics(
            processed: counters.processed.load(ordering: .relaxed), failed: counters.failed.load(ordering: .relaxed),
            evicted: losses.evicted, rejected: losses.rejected, missed: counters.missed.load(ordering: .relaxed),
            droppedBySender: counters.droppedBySender.load(ordering: .relaxed),
            expired: counters.expired.load(ordering: .relaxed), deadLettered: counters.deadLettered.load(ordering: .relaxed),
            stopped: counters.stopped.load(ordering: .relaxed),
            queued: UInt64(max(0, subscriber.mailbox.count + (subscriber.spill?.waiting ?? 0))),
            spilled: subscriber.spill?.written ?? 0)
    }

    /// Counts since the subscription was made.
    public struct Statistics: Sendable, Hashable {
        /// Handler calls that returned.
        public var processed: UInt64
        /// Handler calls that threw.
        public var failed: UInt64
        /// Events of this node that had to go to make room.
        public var evicted: UInt64
        /// Events of this node that were refused.
        public var rejected: UInt64
        /// Events that gap markers spoke of: lost here or at a publisher on another node.
        public var missed: UInt64
        /// Events that publishers on other nodes had to let go, whether the handler has been told of them yet or not. With `evicted` and `rejected`,
        /// each event that was lost counts once.
        public var droppedBySender: UInt64
        /// Events whose time to live ended in the queue.
        public var expired: UInt64
        /// Events that went to the dead letters, whether they are still there or not.
        public var deadLettered: UInt64
        /// Of these, the ones that were queued when the subscription ended.
        public var stopped: UInt64
        /// Events that wait, also on the disk, or are being handled.
        public var queued: UInt64
        /// Events of this node that went to the disk for want of room.
        public var spilled: UInt64
    }
}
