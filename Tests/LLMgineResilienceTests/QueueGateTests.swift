import LLMgineResilience
import Testing

@Suite struct `The gate of a queue` {
    /// A queue of ten, under pressure from eight down to five.
    private struct Queue {
        var gate: QueueGate
        var size = 0
        var asked = 0
        var isDemoted = false

        init(_ strategy: BackpressureStrategy, capacity: Int = 10, keepsDropped: Bool = false) {
            gate = QueueGate(BoundedEventQueue(capacity: capacity, strategy: strategy, keepsDropped: keepsDropped))
        }

        @discardableResult
        mutating func offer(at now: Duration = .zero) -> QueueGate.Admission {
            var admission = QueueGate.Admission.accepted
            if size >= gate.threshold {
                asked += 1
                admission = gate.offered(at: size, isDemoted: isDemoted, now: now)
            }
            if admission == .accepted { size += 1 }
            return admission
        }

        mutating func fill(to count: Int) {
            while size < count { offer() }
        }

        mutating func take(_ count: Int) {
            size -= count
            gate.shrank(to: size)
        }

        var advice: QueueGate.Advice { gate.advice(at: size, isDemoted: isDemoted) }
    }

    @Test(arguments: BackpressureStrategy.allCases)
    func `notes pressure from the high mark down to the low mark`(strategy: BackpressureStrategy) {
        var queue = Queue(strategy)
        queue.fill(to: 7)
        #expect(!queue.gate.isUnderPressure)
        queue.offer(at: .seconds(3))
        #expect((queue.gate.isUnderPressure, queue.gate.highWaterHits, queue.gate.lastHighWater) == (true, 1, .seconds(3)))
        queue.take(2)
        #expect(queue.gate.isUnderPressure)
        queue.take(1)
        #expect(!queue.gate.isUnderPressure)
        queue.fill(to: 7)
        queue.offer(at: .seconds(8))
        #expect((queue.gate.highWaterHits, queue.gate.lastHighWater, queue.gate.largest) == (2, .seconds(8), 8))
    }

    @Test func `is not asked about events that nothing depends on`() {
        var queue = Queue(.block, capacity: 6400)
        queue.fill(to: 6400)
        // Once for each 64th, once at the high mark and once when it is full.
        #expect(queue.asked <= 66)
        #expect((6300...6400).contains(queue.gate.largest))
        queue.take(6400)
        queue.asked = 0
        queue.fill(to: 5000)
        #expect(queue.asked == 0)
    }

    @Test func `knows the largest size to a 64th of the capacity`() {
        var queue = Queue(.block, capacity: 640)
        queue.fill(to: 125)
        #expect((116...125).contains(queue.gate.largest))
        var large = Queue(.block, capacity: .max)
        large.fill(to: 5000)
        #expect((3977...5000).contains(large.gate.largest))
        var small = Queue(.block, capacity: 64)
        small.fill(to: 13)
        #expect(small.gate.largest == 13)
    }

    @Test func `holds what comes to a full queue that blocks, and says to wait`() {
        var queue = Queue(.block)
        queue.fill(to: 10)
        #expect((queue.offer(), queue.advice) == (.held, .waitForRoom))
        queue.take(1)
        #expect((queue.advice, queue.offer()) == (.tryAgain, .accepted))
    }

    @Test(arguments: [BackpressureStrategy.block, .adaptiveRateLimit])
    func `lets the oldest go once publishers have waited in vain`(strategy: BackpressureStrategy) {
        var queue = Queue(strategy)
        while queue.size < 10 {
            queue.gate.grantPass()
            queue.offer()
        }
        queue.isDemoted = true
        #expect(queue.offer() == .evicts)
    }

    @Test func `refuses what is new, or lets the oldest go`() {
        var (refusing, dropping) = (Queue(.rejectNew), Queue(.dropOldest))
        refusing.fill(to: 10)
        dropping.fill(to: 10)
        #expect((refusing.offer(), dropping.offer()) == (.rejected, .evicts))
    }

    @Test func `has dropped events kept first where that is asked for`() {
        var (refusing, dropping, blocking) = (
            Queue(.rejectNew, keepsDropped: true), Queue(.dropOldest, keepsDropped: true), Queue(.block, keepsDropped: true)
        )
        for number in 0..<10 {
            #expect(refusing.offer() == .accepted && dropping.offer() == .accepted && blocking.offer() == .accepted, "\(number)")
        }
        blocking.isDemoted = true
        #expect((refusing.offer(), refusing.advice) == (.held, .refuse))
        #expect((dropping.offer(), dropping.advice) == (.held, .makeRoom))
        #expect((blocking.offer(), blocking.advice) == (.held, .makeRoom))
        // With nothing to take out there is a pass, for one event.
        dropping.gate.grantPass()
        #expect((dropping.offer(), dropping.size) == (.accepted, 11))
        #expect(dropping.offer() == .held)
    }

    @Test func `slows publishers by how full it is, and only while there is pressure`() {
        var queue = Queue(.adaptiveRateLimit, capacity: 100)
        queue.fill(to: 80)
        #expect((queue.offer(), queue.advice) == (.held, .rest(.milliseconds(1))))
        #expect(queue.gate.rest(at: 65) == .microseconds(500))
        #expect(queue.gate.rest(at: 50) == .zero)
        #expect(queue.gate.rest(at: 90) == .microseconds(25_750))
        #expect(queue.gate.rest(at: 100) == .milliseconds(100))
        #expect(queue.gate.rest(at: 1000) == .milliseconds(100))
        queue.gate.grantPass()
        #expect((queue.advice, queue.offer(), queue.size) == (.tryAgain, .accepted, 81))
        #expect(queue.offer() == .held)
        queue.take(31)
        #expect((queue.offer(), queue.size) == (.accepted, 51))
    }

    @Test func `forgets passes with the pressure`() {
        var queue = Queue(.adaptiveRateLimit)
        queue.fill(to: 8)
        for _ in 0..<5 { queue.gate.grantPass() }
        queue.take(8)
        queue.fill(to: 8)
        #expect(queue.offer() == .held)
    }

    @Test func `makes publishers wait at a full queue however it slowed them before`() {
        var queue = Queue(.adaptiveRateLimit)
        while queue.size < 10 {
            queue.gate.grantPass()
            queue.offer()
        }
        queue.gate.grantPass()
        #expect((queue.offer(), queue.advice) == (.held, .waitForRoom))
    }

    @Test func `sees what links bring, which nobody can refuse`() {
        var queue = Queue(.dropOldest)
        queue.gate.swelled(to: 12, now: .seconds(1))
        #expect((queue.gate.largest, queue.gate.isUnderPressure, queue.gate.lastHighWater) == (12, true, .seconds(1)))
    }

    @Test func `works for a queue of one`() {
        var queue = Queue(.adaptiveRateLimit, capacity: 1)
        #expect(queue.offer() == .accepted)
        #expect((queue.offer(), queue.advice) == (.held, .waitForRoom))
        queue.take(1)
        #expect(queue.offer() == .accepted)
    }
}
