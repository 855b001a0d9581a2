import LLMgineFlow
import Testing

@Suite struct `The pace of publishers` {
    @Test func `is unknown until the first grant, and holds them as long`() {
        var pace = GrantPace(at: .zero, patience: .seconds(5))
        #expect(pace.rest(at: .seconds(1), filled: 0.75) == GrantPace.longestRest)
        pace.granted(100, at: .seconds(1))
        #expect(pace.rate == 100)
        #expect(pace.rest(at: .seconds(1), filled: 0.75) == nil)
    }

    @Test func `is the rate of the grants when half of the room is taken`() {
        var pace = GrantPace(at: .zero, patience: .seconds(5))
        pace.granted(100, at: .seconds(1))
        #expect(events(admittedBy: &pace, from: .seconds(1), to: .seconds(2), filled: 0.5) == 100)
    }

    @Test(arguments: [(0.25, 75), (0.5, 100), (1.0, 150)])
    func `is slower the more waits`(filled: Double, percent: Int) {
        var pace = GrantPace(at: .zero, patience: .seconds(50))
        pace.granted(1000, at: .seconds(1))
        let count = events(admittedBy: &pace, from: .seconds(1), to: .seconds(2), filled: filled)
        #expect(abs(count - 100_000 / percent) <= 10, "\(count)")
    }

    @Test func `follows grants that become slower`() {
        var pace = GrantPace(at: .zero, patience: .seconds(5))
        pace.granted(1000, at: .seconds(1))
        for second in 2...20 { pace.granted(100, at: .seconds(second)) }
        #expect((100...101).contains(pace.rate ?? 0))
    }

    @Test func `falls while grants are overdue, and to nothing after the patience of the subscription`() {
        var pace = GrantPace(at: .zero, patience: .seconds(5))
        pace.granted(10, at: .seconds(1))
        let first = events(admittedBy: &pace, from: .seconds(1), to: .seconds(2), filled: 0.5)
        let third = events(admittedBy: &pace, from: .seconds(4), to: .seconds(5), filled: 0.5)
        #expect(third < first && third > 0, "\(first), \(third)")
        #expect(pace.rest(at: .seconds(6), filled: 0.5) == GrantPace.longestRest)
        #expect(pace.rest(at: .seconds(600), filled: 0.5) == GrantPace.longestRest)
        pace.granted(10, at: .seconds(601))
        #expect(pace.rest(at: .seconds(602), filled: 0.5) == nil)
    }

    @Test func `asks nobody to come back at once, or after long`() {
        var pace = GrantPace(at: .zero, patience: .seconds(5))
        pace.granted(1, at: .seconds(1))
        pace.admitted(at: .seconds(1), filled: 0.5)
        #expect(pace.rest(at: .seconds(1), filled: 0.5) == GrantPace.longestRest)
        #expect(pace.rest(at: .microseconds(1_999_500), filled: 0.5) == GrantPace.shortestRest)
    }

    /// How many come in who ask every millisecond.
    private func events(admittedBy pace: inout GrantPace, from start: Duration, to end: Duration, filled: Double) -> Int {
        var (now, count) = (start, 0)
        while now < end {
            while pace.rest(at: now, filled: filled) == nil {
                pace.admitted(at: now, filled: filled)
                count += 1
            }
            now += .milliseconds(1)
        }
        return count
    }
}
