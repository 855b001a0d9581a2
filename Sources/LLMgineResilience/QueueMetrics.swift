/// What the queue of a subscription has seen. At any moment enqueued = dequeued + dropped + current.
public struct QueueMetrics: Sendable, Hashable, Codable {
    /// Events that came in.
    public var totalEnqueued: UInt64
    /// Events that the handler is done with, however that went.
    public var totalDequeued: UInt64
    /// Events that had to go to make room.
    public var totalDropped: UInt64
    /// Events that were refused; they never came in.
    public var totalRejected: UInt64
    /// How often the queue reached its high-water mark after it had been below its low-water mark.
    public var highWaterMarkHits: UInt64
    /// When it last did, since 1970; nil if it never did.
    public var lastHighWaterMark: Duration?
    /// Events that wait or are being handled.
    public var currentSize: Int
    /// The most there ever were, known to a 64th of the capacity or to 1024.
    public var maxSizeReached: Int
    /// Whether the queue is on its way from the high-water mark down to the low-water mark.
    public var isBackpressureActive: Bool

    package init(
        totalEnqueued: UInt64, totalDequeued: UInt64, totalDropped: UInt64, totalRejected: UInt64, highWaterMarkHits: UInt64,
        lastHighWaterMark: Duration?, currentSize: Int, maxSizeReached: Int, isBackpressureActive: Bool
    ) {
        self.totalEnqueued = totalEnqueued
        self.totalDequeued = totalDequeued
        self.totalDropped = totalDropped
        self.totalRejected = totalRejected
        self.highWaterMarkHits = highWaterMarkHits
        self.lastHighWaterMark = lastHighWaterMark
        self.currentSize = currentSize
        self.maxSizeReached = maxSizeReached
        self.isBackpressureActive = isBackpressureActive
    }

    /// Those of two queues of one name taken together; the largest size is that of the larger one.
    package static func + (one: QueueMetrics, other: QueueMetrics) -> QueueMetrics {
        QueueMetrics(
            totalEnqueued: one.totalEnqueued + other.totalEnqueued, totalDequeued: one.totalDequeued + other.totalDequeued,
            totalDropped: one.totalDropped + other.totalDropped, totalRejected: one.totalRejected + other.totalRejected,
            highWaterMarkHits: one.highWaterMarkHits + other.highWaterMarkHits,
            lastHighWaterMark: [one.lastHighWaterMark, other.lastHighWaterMark].compactMap { $0 }.max(),
            currentSize: one.currentSize + other.currentSize, maxSizeReached: max(one.maxSizeReached, other.maxSizeReached),
            isBackpressureActive: one.isBackpressureActive || other.isBackpressureActive)
    }
}
