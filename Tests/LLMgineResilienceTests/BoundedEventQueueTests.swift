import LLMgineCore
import LLMgineResilience
import Testing

@Suite struct `A bounded event queue` {
    @Test func `has the defaults that the stories name`() throws {
        let queue = BoundedEventQueue()
        #expect((queue.capacity, queue.highWaterMark, queue.lowWaterMark) == (10_000, 0.8, 0.5))
        #expect((queue.strategy, queue.deadline, queue.keepsDropped) == (.block, .seconds(5), false))
        #expect((queue.highWater, queue.lowWater) == (8000, 5000))
        try queue.check()
    }

    @Test(arguments: [(1, 1, 0), (2, 2, 1), (3, 3, 1), (10, 8, 5), (.max, 7_378_697_629_483_821_056, 4_611_686_018_427_387_904)])
    func `has marks in whole events at any size`(capacity: Int, high: Int, low: Int) {
        let queue = BoundedEventQueue(capacity: capacity)
        #expect((queue.highWater, queue.lowWater) == (high, low))
    }

    @Test func `may be full at its high-water mark, at any size`() throws {
        for capacity in [1, 10, Int.max] {
            let queue = BoundedEventQueue(capacity: capacity, highWaterMark: 1, lowWaterMark: 0.999)
            try queue.check()
            #expect(queue.highWater == capacity)
            #expect((0..<capacity).contains(queue.lowWater))
        }
    }

    @Test(arguments: [(0.0, 0.8), (-0.1, 0.8), (0.8, 0.8), (0.9, 0.8), (0.5, 1.1), (.nan, 0.8), (0.5, .nan)])
    func `refuses marks that are not 0 < low < high <= 1`(low: Double, high: Double) {
        #expect(throws: LLMgineError(.invalidArgument, "")) { try BoundedEventQueue(highWaterMark: high, lowWaterMark: low).check() }
    }

    @Test func `refuses a capacity of nothing`() {
        #expect(throws: LLMgineError(.invalidArgument, "")) { try BoundedEventQueue(capacity: 0).check() }
    }

    @Test(arguments: [
        ("drop_oldest", BackpressureStrategy.dropOldest), ("reject_new", .rejectNew), ("adaptive_rate_limit", .adaptiveRateLimit),
        ("block", .block),
    ])
    func `has strategies with the names that users know`(name: String, strategy: BackpressureStrategy) throws {
        #expect(try BackpressureStrategy(named: name) == strategy)
        #expect(strategy.rawValue == name)
    }

    @Test func `says which strategies there are when it does not know one`() {
        do {
            _ = try BackpressureStrategy(named: "drop_newest")
            Issue.record("there is no such strategy")
        } catch {
            #expect(error.code == .invalidConfiguration)
            #expect(error.detail.contains("block, drop_oldest, reject_new, adaptive_rate_limit"))
        }
    }

    @Test func `is known to other nodes by what the wire carries`() {
        var queue = BoundedEventQueue(strategy: .adaptiveRateLimit, deadline: .seconds(2))
        #expect(queue.whenFull == .adaptiveRateLimit(deadline: .seconds(2)))
        queue.whenFull = .conflate(by: .header("symbol"))
        #expect((queue.strategy, queue.conflationKey) == (.conflate, .header("symbol")))
        #expect(queue.whenFull == .conflate(by: .header("symbol")))
        queue.whenFull = .spill(maximumBytes: 9)
        #expect((queue.strategy, queue.maximumSpillBytes, queue.whenFull) == (.spill, 9, .spill(maximumBytes: 9)))
        queue.whenFull = .dropOldest
        #expect((queue.strategy, queue.whenFull) == (.dropOldest, .dropOldest))
        queue.whenFull = .rejectNew
        #expect((queue.strategy, queue.whenFull) == (.rejectNew, .rejectNew))
        queue.whenFull = .block(deadline: .seconds(7))
        #expect((queue.strategy, queue.deadline) == (.block, .seconds(7)))
    }

    @Test func `has metrics that add up with those of another`() {
        func metrics(_ dequeued: UInt64, at time: Duration?, size: Int, active: Bool) -> QueueMetrics {
            QueueMetrics(
                totalEnqueued: dequeued + UInt64(size), totalDequeued: dequeued, totalDropped: 0, totalRejected: 1, highWaterMarkHits: 2,
                lastHighWaterMark: time, currentSize: size, maxSizeReached: size, isBackpressureActive: active)
        }
        let sum = metrics(3, at: nil, size: 4, active: false) + metrics(10, at: .seconds(9), size: 1, active: true)
        #expect((sum.totalEnqueued, sum.totalDequeued, sum.totalRejected, sum.highWaterMarkHits) == (18, 13, 2, 4))
        #expect((sum.currentSize, sum.maxSizeReached, sum.lastHighWaterMark) == (5, 4, .seconds(9)))
        #expect(sum.isBackpressureActive)
    }
}
