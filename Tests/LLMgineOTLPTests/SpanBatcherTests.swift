import LLMgineOTLP
import Testing

private let unavailable = OTLP.Outcome.unavailable(reason: .status(503), retryAfter: nil)
private let delivered = OTLP.Outcome.delivered(rejected: 0, message: "")

@Suite struct `A span batcher` {
    private var batcher = SpanBatcher(at: .zero)

    @Test mutating func `waits for the schedule while less than a batch waits`() {
        #expect(batcher.next(queued: 0, at: .zero) == .wait(until: .seconds(5)))
        #expect(batcher.next(queued: 511, at: .seconds(4)) == .wait(until: .seconds(5)))
        #expect(batcher.next(queued: 511, at: .seconds(5)) == .export(511, timeout: .seconds(10)))
    }

    @Test mutating func `sends a full batch at once, and again until less than a batch is left`() {
        #expect(batcher.next(queued: 1_100, at: .zero) == .export(512, timeout: .seconds(10)))
        #expect(batcher.answered(delivered, at: .seconds(1), random: 0) == .settled)
        #expect(batcher.next(queued: 588, at: .seconds(1)) == .export(512, timeout: .seconds(10)))
        #expect(batcher.answered(delivered, at: .seconds(2), random: 0) == .settled)
        #expect(batcher.next(queued: 76, at: .seconds(2)) == .wait(until: .seconds(5)))
        #expect(batcher.counts.delivered == 1_024)
    }

    @Test mutating func `has one export in flight`() {
        _ = batcher.next(queued: 2_000, at: .zero)
        #expect(batcher.next(queued: 2_000, at: .seconds(1)) == .wait(until: .seconds(30)))
    }

    @Test mutating func `sends at the schedule all that waited then, and not what came since`() {
        #expect(batcher.next(queued: 600, at: .seconds(5)) == .export(512, timeout: .seconds(10)))
        _ = batcher.answered(delivered, at: .seconds(5), random: 0)
        #expect(batcher.next(queued: 90, at: .seconds(5)) == .export(90, timeout: .seconds(10)))
        _ = batcher.answered(delivered, at: .seconds(5), random: 0)
        #expect(batcher.next(queued: 4, at: .seconds(5)) == .wait(until: .seconds(10)))
    }

    @Test mutating func `sends what waits when it is told to flush`() {
        batcher.flushRequested(queued: 3)
        #expect(batcher.next(queued: 3, at: .seconds(1)) == .export(3, timeout: .seconds(10)))
    }

    @Test mutating func `rests between attempts, and gives up at the deadline`() {
        #expect(batcher.next(queued: 512, at: .zero) == .export(512, timeout: .seconds(10)))
        #expect(batcher.answered(unavailable, at: .seconds(1), random: 1) == .retries)
        #expect(batcher.next(queued: 9, at: .seconds(1)) == .wait(until: .milliseconds(1_500)))
        #expect(batcher.next(queued: 9, at: .milliseconds(1_500)) == .resend(timeout: .seconds(10)))
        #expect(batcher.answered(unavailable, at: .seconds(25), random: 1) == .retries)
        #expect(batcher.next(queued: 9, at: .seconds(26)) == .resend(timeout: .seconds(4)), "no attempt outlasts the deadline")
        #expect(batcher.answered(unavailable, at: .seconds(30), random: 0) == .settled)
        #expect(batcher.counts.abandoned == 512)
    }

    @Test mutating func `waits as long as the receiver asks`() {
        _ = batcher.next(queued: 512, at: .zero)
        #expect(batcher.answered(.unavailable(reason: .status(429), retryAfter: .seconds(3)), at: .seconds(1), random: 0.5) == .retries)
        #expect(batcher.next(queued: 0, at: .seconds(2)) == .wait(until: .seconds(4)))
    }

    @Test mutating func `never sends again what was refused or rejected`() {
        _ = batcher.next(queued: 512, at: .zero)
        #expect(batcher.answered(.refused(status: 400, message: ""), at: .zero, random: 0) == .settled)
        _ = batcher.next(queued: 512, at: .zero)
        #expect(batcher.answered(.delivered(rejected: 12, message: ""), at: .zero, random: 0) == .settled)
        #expect((batcher.counts.refused, batcher.counts.rejected, batcher.counts.delivered) == (512, 12, 500))
    }

    @Test mutating func `sends all that waits before it stops`() {
        batcher.stopRequested(at: .seconds(1), within: .seconds(2))
        #expect(batcher.next(queued: 600, at: .seconds(1)) == .export(512, timeout: .seconds(2)))
        _ = batcher.answered(delivered, at: .milliseconds(1_500), random: 0)
        #expect(batcher.next(queued: 88, at: .milliseconds(1_500)) == .export(88, timeout: .milliseconds(1_500)))
        _ = batcher.answered(delivered, at: .milliseconds(1_600), random: 0)
        #expect(batcher.next(queued: 0, at: .milliseconds(1_600)) == .stop)
    }

    @Test mutating func `tries a resting batch once more before it stops, and then gives up on a dead receiver`() {
        _ = batcher.next(queued: 512, at: .zero)
        _ = batcher.answered(unavailable, at: .seconds(1), random: 0.9)
        batcher.stopRequested(at: .seconds(1), within: .seconds(2))
        #expect(batcher.next(queued: 700, at: .seconds(1)) == .resend(timeout: .seconds(2)))
        #expect(batcher.answered(unavailable, at: .milliseconds(1_100), random: 0.9) == .settled)
        #expect(batcher.next(queued: 700, at: .milliseconds(1_100)) == .stop)
    }

    @Test mutating func `stops at the limit whatever still waits`() {
        batcher.stopRequested(at: .zero, within: .seconds(2))
        _ = batcher.next(queued: 5_000, at: .zero)
        _ = batcher.answered(delivered, at: .seconds(2), random: 0)
        #expect(batcher.next(queued: 4_488, at: .seconds(2)) == .stop)
    }

    @Test func `accounts for every span under any order of events`() {
        for seed in 1...200 as ClosedRange<UInt64> {
            var random = SeededGenerator(seed: seed)
            var batcher = SpanBatcher(at: .zero)
            var now = Duration.zero
            var queued = 0
            var taken = 0
            var inFlight = 0
            for _ in 0..<300 {
                now += .milliseconds(Int.random(in: 0...3_000, using: &random))
                queued += Int.random(in: 0...700, using: &random)
                switch batcher.next(queued: queued, at: now) {
                case .wait, .stop: continue
                case .export(let count, let timeout):
                    #expect(count > 0 && count <= min(queued, 512) && timeout > .zero && inFlight == 0, "seed \(seed)")
                    queued -= count
                    taken += count
                    inFlight = count
                case .resend: #expect(inFlight > 0, "seed \(seed)")
                }
                let outcomes: [OTLP.Outcome] = [
                    delivered, unavailable, .refused(status: 400, message: ""), .delivered(rejected: 5, message: ""),
                ]
                let outcome = outcomes.randomElement(using: &random) ?? delivered
                if batcher.answered(outcome, at: now, random: Double.random(in: 0..<1, using: &random)) == .settled { inFlight = 0 }
            }
            let counts = batcher.counts
            #expect(counts.delivered + counts.rejected + counts.refused + counts.abandoned + inFlight == taken, "seed \(seed)")
        }
    }
}
