import LLMgineCore
import LLMgineResilience
import Synchronization

/// Stops events that come faster than so many a second: a token bucket whose burst is one second's worth.
///
/// By default every session has a bucket of its own. The number of buckets is bounded: those that were not used for the longest time go, and
/// a session that comes back starts with a full one.
public final class RateLimitFilter: EventFilter {
    /// Events a second that go through on average.
    public let maximumPerSecond: Double
    /// Whether every session has a bucket of its own. Default true.
    public let isPerSession: Bool
    /// Whether every event type has a bucket of its own. Default false.
    public let isPerType: Bool
    /// How many buckets there are at most. Default 10,000.
    public let maximumBuckets: Int

    private struct Key: Hashable {
        let session: SessionID?
        let type: String?
    }

    /// Two generations: what is used moves to the young one; when that is full it becomes the old one, and the former old one goes.
    private struct State {
        var young: [Key: TokenBucket] = [:]
        var old: [Key: TokenBucket] = [:]
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Duration

    /// Makes a filter. A rate that is no positive number lets nothing through.
    public convenience init(maximumPerSecond: Double, perSession: Bool = true, perType: Bool = false, maximumBuckets: Int = 10_000) {
        self.init(maximumPerSecond: maximumPerSecond, perSession: perSession, perType: perType, maximumBuckets: maximumBuckets) {
            .nanoseconds(Int64(truncatingIfNeeded: SystemClock.monotonicNanoseconds()))
        }
    }

    /// - Parameter now: the time, since anything that does not move.
    package init(
        maximumPerSecond: Double, perSession: Bool = true, perType: Bool = false, maximumBuckets: Int = 10_000,
        now: @escaping @Sendable () -> Duration
    ) {
        self.maximumPerSecond = maximumPerSecond
        self.isPerSession = perSession
        self.isPerType = perType
        self.maximumBuckets = max(2, maximumBuckets)
        self.now = now
    }

    /// Whether there is a token for the event, which it takes.
    public func shouldHandle(_ event: PublishedEvent) -> Bool {
        let key = Key(session: isPerSession ? event.session : nil, type: isPerType ? event.eventType : nil)
        let now = now()
        return state.withLock { state in
            if state.young[key] == nil {
                if state.young.count >= maximumBuckets / 2 {
                    state.old = state.young
                    state.young = [:]
                }
                state.young[key] =
                    state.old.removeValue(forKey: key)
                    ?? TokenBucket(rate: maximumPerSecond, burst: maximumPerSecond > 0 ? max(1, maximumPerSecond) : 0, at: now)
            }
            return state.young[key]?.take(at: now) ?? false
        }
    }

    /// How many buckets there are.
    package var bucketCount: Int { state.withLock { $0.young.count + $0.old.count } }
}
