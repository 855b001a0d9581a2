import LLMgineRouting
import Testing

@Suite struct `A round of a queue group` {
    @Test func `asks each member once, beginning with another one each time`() {
        #expect(Array(GroupRound(members: 3, turn: 0)) == [0, 1, 2])
        #expect(Array(GroupRound(members: 3, turn: 4)) == [1, 2, 0])
        #expect(Array(GroupRound(members: 1, turn: 9)) == [0])
        #expect(GroupRound(members: 3, turn: 5).first == 2)
    }

    @Test func `goes on when the number of rounds is used up`() {
        #expect((0..<3).contains(GroupRound(members: 3, turn: .min).first))
    }
}
