public import LLMgineCore
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

    init(subscriber: AnySubscriber, bus: MessageBus) {
        self.subscriber = subscriber
        self.bus = bus
    }

    func run(_ operation: @escaping @Sendable () async -> Void) {
        // Unstructured because a subscription outlives the call that made it; `cancel()` and `stop()` end it and wait for it.
        consumer.withLock { $0 = Task { await operation() } }
    }

    /// Returns once every node that can be reached knows of the subscription: what they publish from now on arrives here.
    /// - Throws: `deadlineExceeded` after 10 s, `stopped`.
    public func established(within deadline: Duration = .seconds(10)) async throws(LLMgineError) {
        try await bus.cluster?.established(deadline: deadline)
    }

    /// Takes no more events, and waits for the handler that runs to return; what is queued is dropped.
    public func cancel() async {
        bus.remove(self)
        subscriber.mailbox.close()
        let task = consumer.withLock { $0 }
        task?.cancel()
        await task?.value
    }

    /// Takes no more events, and lets the handler finish what is queued until the deadline.
    package func finish(within deadline: Duration) async {
        subscriber.mailbox.close()
        _ = await drained(until: .now + deadline)
        await cancel()
    }

    /// Waits until the queue is empty and the handler has returned. False at the deadline.
    func drained(until end: ContinuousClock.Instant) async -> Bool {
        guard let task = consumer.withLock({ $0 }) else { return true }
        let timer = bus.timers.schedule(at: end) { task.cancel() }
        await task.value
        bus.timers.cancel(timer)
        return subscriber.mailbox.count == 0
    }

    /// What the subscription has done so far.
    public var statistics: Statistics {
        let losses = subscriber.mailbox.losses
        let counters = subscriber.statistics
        return Statistics(
            processed: counters.processed.load(ordering: .relaxed), failed: counters.failed.load(ordering: .relaxed),
            evicted: losses.evicted, rejected: losses.rejected, missed: counters.missed.load(ordering: .relaxed),
            expired: counters.expired.load(ordering: .relaxed), deadLettered: counters.deadLettered.load(ordering: .relaxed),
            queued: UInt64(max(0, subscriber.mailbox.count)))
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
        /// Events whose time to live ended in the queue.
        public var expired: UInt64
        /// Events that went to the dead letters.
        public var deadLettered: UInt64
        /// Events that wait or are being handled.
        public var queued: UInt64
    }
}
