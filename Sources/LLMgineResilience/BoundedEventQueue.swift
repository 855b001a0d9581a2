public import enum LLMgineCore.ConflationKey
public import struct LLMgineCore.LLMgineError
public import enum LLMgineCore.WhenFull

/// The queue of a subscription: how long it may get, from when on it counts as under pressure, and what happens then.
///
/// Pressure begins when the queue reaches the high-water mark and ends when it is down at the low-water mark. It shows in the metrics whatever
/// the strategy is; only ``BackpressureStrategy/adaptiveRateLimit`` acts on it before the queue is full.
///
/// Publishers on other nodes are paced by credit, which ends where the queue's room ends. Of all this they know ``whenFull``, and act on it where
/// events wait for credit.
public struct BoundedEventQueue: Sendable, Hashable {
    /// Events that may wait or be handled at a time, over all priority classes. Default 10,000.
    public var capacity: Int
    /// The share of the capacity at which pressure begins. Above ``lowWaterMark``, at most 1. Default 0.8.
    public var highWaterMark: Double
    /// The share of the capacity at which it ends. Above 0. Default 0.5.
    public var lowWaterMark: Double
    /// What happens when there is no room. Default ``BackpressureStrategy/block``.
    public var strategy: BackpressureStrategy
    /// How long a publisher waits at most, by the strategies that make it wait; then the subscription is demoted: publishers no longer wait for it
    /// and the oldest go, until it has caught up. Default 5 s.
    public var deadline: Duration
    /// Whether events of this node that are dropped or refused go to the dead letters, beside being counted. It costs the publisher the encoding of
    /// each of them. Default false. What is superseded under ``BackpressureStrategy/conflate`` is only counted.
    public var keepsDropped: Bool
    /// What makes one event supersede another under ``BackpressureStrategy/conflate``. Default: that they have the same topic.
    public var conflationKey: ConflationKey
    /// How many bytes may lie on the disk under ``BackpressureStrategy/spill``. Default 256 MiB.
    public var maximumSpillBytes: Int

    /// A queue with the documented defaults. A subscription checks it when it is made.
    public init(
        capacity: Int = 10_000, highWaterMark: Double = 0.8, lowWaterMark: Double = 0.5, strategy: BackpressureStrategy = .block,
        deadline: Duration = .seconds(5), keepsDropped: Bool = false, conflationKey: ConflationKey = .topic,
        maximumSpillBytes: Int = 256 << 20
    ) {
        self.maximumSpillBytes = maximumSpillBytes
        self.conflationKey = conflationKey
        self.capacity = capacity
        self.highWaterMark = highWaterMark
        self.lowWaterMark = lowWaterMark
        self.strategy = strategy
        self.deadline = deadline
        self.keepsDropped = keepsDropped
    }

    /// The strategy as other nodes know it. Setting it keeps the rest.
    public var whenFull: WhenFull {
        get {
            switch strategy {
            case .block: .block(deadline: deadline)
            case .adaptiveRateLimit: .adaptiveRateLimit(deadline: deadline)
            case .dropOldest: .dropOldest
            case .rejectNew: .rejectNew
            case .conflate: .conflate(by: conflationKey)
            case .spill: .spill(maximumBytes: maximumSpillBytes)
            }
        }
        set {
            switch newValue {
            case .block(let deadline):
                strategy = .block
                self.deadline = deadline
            case .dropOldest: strategy = .dropOldest
            case .rejectNew: strategy = .rejectNew
            case .adaptiveRateLimit(let deadline):
                strategy = .adaptiveRateLimit
                self.deadline = deadline
            case .conflate(let key):
                strategy = .conflate
                conflationKey = key
            case .spill(let bytes):
                strategy = .spill
                maximumSpillBytes = bytes
            }
        }
    }

    /// - Throws: `invalidArgument`, saying which rule is broken.
    package func check() throws(LLMgineError) {
        guard capacity > 0 else { throw LLMgineError(.invalidArgument, "the capacity of a queue must be positive, not \(capacity)") }
        guard lowWaterMark > 0, lowWaterMark < highWaterMark, highWaterMark <= 1 else {
            throw LLMgineError(
                .invalidArgument,
                "water marks must be 0 < low < high <= 1, not \(lowWaterMark) and \(highWaterMark)")
        }
        try conflationKey.check()
        guard maximumSpillBytes > 0 else {
            throw LLMgineError(.invalidArgument, "a queue that spills needs more than \(maximumSpillBytes) bytes of disk")
        }
    }

    /// So many events are the high-water mark: 1 up to the capacity.
    package var highWater: Int { max(1, share(highWaterMark, .up)) }
    /// So many are the low-water mark: 0 up to one less than the other.
    package var lowWater: Int { min(share(lowWaterMark, .down), highWater - 1) }

    /// A share of the capacity in whole events; a queue without bounds has a capacity that no floating-point number has.
    private func share(_ mark: Double, _ rule: FloatingPointRoundingRule) -> Int {
        let events = (Double(capacity) * mark).rounded(rule)
        return events < Double(capacity) ? max(0, Int(events)) : capacity
    }
}
