import LLMgineFlow
import Testing

@Suite struct `A publisher that is held back` {
    typealias Holder = PublisherHold.Holder

    @Test func `waits for each subscription as long as that one's deadline says`() {
        var hold = PublisherHold()
        let (short, long) = (Holder(flow: 1, deadline: .seconds(1)), Holder(flow: 2, deadline: .seconds(5)))
        #expect(hold.end(of: [long, short], at: .seconds(10)) == .seconds(11))
        #expect(hold.overdue([long, short], at: .milliseconds(10_999)) == [])
        #expect(hold.overdue([long, short], at: .seconds(11)) == [1])
        #expect(hold.end(of: [long], at: .seconds(11)) == .seconds(15))
        #expect(hold.overdue([long], at: .seconds(15)) == [2])
        #expect(hold.end(of: [], at: .seconds(15)) == nil)
    }

    @Test func `gives one that comes later its whole time`() {
        var hold = PublisherHold()
        let (first, second) = (Holder(flow: 1, deadline: .seconds(5)), Holder(flow: 2, deadline: .seconds(1)))
        #expect(hold.end(of: [first], at: .zero) == .seconds(5))
        #expect(hold.end(of: [first, second], at: .seconds(3)) == .seconds(4))
        #expect(hold.overdue([first, second], at: .seconds(4)) == [2])
    }

    @Test func `counts on where one has had room in between`() {
        var hold = PublisherHold()
        let holder = Holder(flow: 1, deadline: .seconds(1))
        #expect(hold.end(of: [holder], at: .zero) == .seconds(1))
        #expect(hold.end(of: [], at: .milliseconds(500)) == nil)
        #expect(hold.end(of: [holder], at: .milliseconds(900)) == .seconds(1), "it is one wait, however often others come first")
        #expect(hold.overdue([], at: .seconds(1)) == [])
    }

    @Test func `gives one that had room while others were waited for its whole time once more`() {
        var hold = PublisherHold()
        let (stuck, busy) = (Holder(flow: 1, deadline: .seconds(1), turn: 7), Holder(flow: 2, deadline: .seconds(1), turn: 7))
        #expect(hold.end(of: [stuck, busy], at: .zero) == .seconds(1))
        let again = Holder(flow: 2, deadline: .seconds(1), turn: 8)
        hold.begin(with: [stuck, again], at: .milliseconds(900))
        #expect(hold.overdue([stuck, again], at: .seconds(1)) == [1])
        #expect(hold.end(of: [again], at: .seconds(1)) == .milliseconds(1900))
    }

    @Test func `waits for nobody without a deadline`() {
        var hold = PublisherHold()
        let holder = Holder(flow: 1, deadline: .zero)
        #expect(hold.end(of: [holder], at: .seconds(3)) == .seconds(3))
        #expect(hold.overdue([holder], at: .seconds(3)) == [1])
    }
}
