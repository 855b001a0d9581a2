import LLMgineBus
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A timer queue` {
    private let timers = TimerQueue()

    @Test func `runs actions in the order of their times`() async {
        let ran = Journal<Int>()
        let now = ContinuousClock.now
        for (number, delay) in [(3, 30), (1, 10), (2, 20), (0, 0)] {
            timers.schedule(at: now + .milliseconds(delay)) { ran.add(number) }
        }
        #expect(await ran.first(4) == [0, 1, 2, 3])
        #expect(ContinuousClock.now - now >= .milliseconds(30))
    }

    @Test func `wakes earlier for what is set later and due sooner`() async {
        let ran = Journal<Int>()
        let now = ContinuousClock.now
        timers.schedule(at: now + .seconds(3600)) { ran.add(2) }
        timers.schedule(at: now + .milliseconds(1)) { ran.add(1) }
        #expect(await ran.first(1) == [1])
    }

    /// Each short timer used to leave one more task asleep until the far one's time.
    @Test func `has no more than two tasks asleep, however many short timers come before a far one`() async {
        let ran = Journal<Int>()
        timers.schedule(at: .now + .seconds(3600)) { ran.add(-1) }
        var most = 0
        for number in 1...1000 {
            timers.schedule(at: .now) { ran.add(number) }
            most = max(most, timers.sleepers)
            await ran.first(number)
        }
        #expect(most <= 2)
        #expect(ran.entries == Array(1...1000))
    }

    @Test func `dismisses those who sleep until later than the next but one`() async throws {
        let ran = Journal<Int>()
        let far = ContinuousClock.now + .seconds(7200)
        for number in 1...1000 { timers.schedule(at: far - .seconds(number)) { ran.add(number) } }
        try await until { timers.sleepers <= 2 }  // they notice on tasks of their own
        timers.schedule(at: .now) { ran.add(0) }
        #expect(await ran.first(1) == [0])
    }

    @Test func `runs nothing that was cancelled`() async {
        let ran = Journal<Int>()
        let now = ContinuousClock.now
        let ids = (0..<5000).map { number in timers.schedule(at: now + .seconds(1)) { ran.add(number) } }
        for id in ids where id % 5 != 0 { timers.cancel(id) }
        timers.schedule(at: now + .milliseconds(1050)) { ran.add(-1) }
        let all = await ran.first(1001)
        #expect(all.count == 1001 && all.last == -1)
        #expect(Set(all).count == 1001)
    }

    @Test func `lets go at once of what a cancelled action refers to`() {
        final class Thing: Sendable {}
        weak var gone: Thing?
        let id: UInt64
        do {
            let thing = Thing()
            gone = thing
            id = timers.schedule(at: .now + .seconds(3600)) { withExtendedLifetime(thing) {} }
        }
        #expect(gone != nil)
        timers.cancel(id)
        #expect(gone == nil)
    }

    @Test func `runs nothing once nobody refers to it`() async {
        let ran = Journal<Int>()
        let soon = ContinuousClock.now + .milliseconds(50)
        do {
            let dropped = TimerQueue()
            dropped.schedule(at: soon) { ran.add(1) }
        }
        guard ContinuousClock.now < soon else { return }  // too busy a machine to tell
        timers.schedule(at: soon + .milliseconds(20)) { ran.add(2) }
        #expect(await ran.first(1) == [2])
    }
}
