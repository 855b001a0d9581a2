/// Decides at the entrance of one bounded queue: who comes in, who waits, who goes, and how fast publishers may be.
///
/// A queue that is far from its marks need not ask: the gate names the size from which on it wants to be asked, so an event costs one
/// comparison. The gate is told of exact sizes only then and when a consumer takes events out, so ``largest`` may be below the truth by up to
/// a 64th of the capacity, and by 1023 at most.
package struct QueueGate: Sendable {
    /// What is done with an event at the door.
    package enum Admission: Sendable, Hashable {
        case accepted
        /// It cannot come in now: ask for ``advice(at:isDemoted:)``.
        case held
        case rejected
        /// It comes in for the oldest.
        case evicts
    }

    /// What a publisher does whose event was held.
    package enum Advice: Sendable, Hashable {
        case tryAgain
        case waitForRoom
        /// Wait so long, or until the queue is at its low-water mark, then take a pass and try again.
        case rest(Duration)
        /// Take the oldest out, keep it, and try again.
        case makeRoom
        /// Keep the new event as one that was refused.
        case refuse
    }

    package let queue: BoundedEventQueue
    /// The number of waiting events from which on the gate is asked about the next one.
    package private(set) var threshold: Int
    /// From the high-water mark down to the low-water mark.
    package private(set) var isUnderPressure = false
    /// How often pressure began.
    package private(set) var highWaterHits: UInt64 = 0
    /// When it last did, on the caller's clock.
    package private(set) var lastHighWater: Duration?
    /// The most events that were seen in the queue.
    package private(set) var largest = 0

    private let highWater: Int
    private let lowWater: Int
    /// How exactly ``largest`` is known.
    private let step: Int
    /// Publishers that have waited enough.
    private var passes = 0
    /// Whether every event is held.
    package private(set) var isHolding = false

    /// The delay of a publisher while the queue is at its high-water mark.
    package static let shortestRest = Duration.milliseconds(1)
    /// The delay while it is all but full.
    package static let longestRest = Duration.milliseconds(100)

    package init(_ queue: BoundedEventQueue) {
        self.queue = queue
        highWater = queue.highWater
        lowWater = queue.lowWater
        step = min(max(1, queue.capacity / 64), 1024)
        threshold = 0
        arm()
    }

    /// An event is at the door and so many are inside, at least ``threshold``.
    package mutating func offered(at size: Int, isDemoted: Bool, now: @autoclosure () -> Duration) -> Admission {
        defer { arm() }
        guard !isHolding else { return .held }
        guard size < queue.capacity else {
            grew(to: size, now: now())
            return whenFull(isDemoted: isDemoted)
        }
        if slowsPublishers(isDemoted: isDemoted), !takePass() { return .held }
        grew(to: size + 1, now: now())
        return .accepted
    }

    /// What to do about an event that was held, now that so many are inside.
    package func advice(at size: Int, isDemoted: Bool) -> Advice {
        guard size >= queue.capacity else {
            return slowsPublishers(isDemoted: isDemoted) && passes == 0 ? .rest(rest(at: size)) : .tryAgain
        }
        switch queue.strategy {
        case .block where !isDemoted: return .waitForRoom
        case .adaptiveRateLimit where !isDemoted: return .waitForRoom
        case .rejectNew: return queue.keepsDropped ? .refuse : .tryAgain
        case .block, .adaptiveRateLimit, .dropOldest: return queue.keepsDropped ? .makeRoom : .tryAgain
        case .conflate: return .tryAgain
        case .spill: return .waitForRoom
        }
    }

    /// Has every event held, or no longer: there are others that come first.
    package mutating func hold(_ isHolding: Bool) {
        self.isHolding = isHolding
        arm()
    }

    /// A publisher has rested, or there is nothing to make room with: the next event comes in.
    package mutating func grantPass() { passes += 1 }

    /// Events were taken out and so many are left.
    package mutating func shrank(to size: Int) {
        guard isUnderPressure, size <= lowWater else { return }
        isUnderPressure = false
        passes = 0
        arm()
    }

    /// Events came in that nobody could have refused, and so many are inside.
    package mutating func swelled(to size: Int, now: @autoclosure () -> Duration) {
        grew(to: size, now: now())
        arm()
    }

    /// How long a publisher rests: nothing at the low-water mark, 1 ms at the high-water mark, and with the square of what is above it up to 100 ms
    /// when there is no room left.
    package func rest(at size: Int) -> Duration {
        guard size > lowWater else { return .zero }
        guard size > highWater else { return QueueGate.shortestRest * (Double(size - lowWater) / Double(highWater - lowWater)) }
        let above = Double(min(size, queue.capacity) - highWater) / Double(queue.capacity - highWater)
        return QueueGate.shortestRest + (QueueGate.longestRest - QueueGate.shortestRest) * (above * above)
    }

    private func slowsPublishers(isDemoted: Bool) -> Bool { isUnderPressure && queue.strategy == .adaptiveRateLimit && !isDemoted }

    private mutating func whenFull(isDemoted: Bool) -> Admission {
        switch queue.strategy {
        case .block where !isDemoted: return .held
        case .adaptiveRateLimit where !isDemoted: return .held
        case .rejectNew: return queue.keepsDropped ? .held : .rejected
        case .block, .adaptiveRateLimit, .dropOldest:
            guard queue.keepsDropped else { return .evicts }
            return takePass() ? .accepted : .held
        case .conflate: return .evicts
        case .spill: return .held
        }
    }

    private mutating func takePass() -> Bool {
        guard passes > 0 else { return false }
        passes -= 1
        return true
    }

    private mutating func grew(to size: Int, now: @autoclosure () -> Duration) {
        largest = max(largest, size)
        guard !isUnderPressure, size >= highWater else { return }
        isUnderPressure = true
        highWaterHits += 1
        lastHighWater = now()
    }

    private mutating func arm() {
        guard queue.strategy != .conflate, !isHolding else { return threshold = 0 }  // every event is looked at
        if isUnderPressure {
            threshold = queue.strategy == .adaptiveRateLimit ? 0 : queue.capacity
        } else {
            threshold = highWater - 1
        }
        threshold = min(threshold, largest + step - 1)
    }
}
