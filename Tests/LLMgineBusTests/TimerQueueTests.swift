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
        timers.stop()
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

    @Test func `runs nothing after it has stopped`() async {
        let ran = Journal<Int>()
        let soon = ContinuousClock.now + .milliseconds(50)
        timers.schedule(at: soon) { ran.add(1) }
        timers.stop()
        guard ContinuousClock.now < soon else { return }  // too busy a machine to tell
        timers.schedule(at: .now) { ran.add(2) }
        let other = TimerQueue()
        other.schedule(at: soon + .milliseconds(20)) { ran.add(3) }
        #expect(await ran.first(1) == [3])
    }
}
