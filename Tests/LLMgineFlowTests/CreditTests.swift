import LLMgineCore
import LLMgineFlow
import Testing

@Suite struct `A credit purse` {
    @Test func `spends what was granted and no more`() {
        var purse = CreditPurse(granted: Credit(messages: 2, bytes: 100))
        #expect(purse.spend(messages: 1, bytes: 60) == true)
        #expect(purse.spend(messages: 1, bytes: 41) == false)
        #expect(purse.spend(messages: 1, bytes: 40) == true)
        #expect(purse.spend(messages: 1, bytes: 0) == false)
        #expect(purse.room == .none)
    }

    @Test func `takes the highest grant, whatever the order`() {
        var purse = CreditPurse(granted: Credit(messages: 2, bytes: 100))
        purse.granted(Credit(messages: 8, bytes: 50))
        purse.granted(Credit(messages: 4, bytes: 400))
        #expect(purse.granted == Credit(messages: 8, bytes: 400))
    }

    @Test func `gives back what it does not use, once, and is given more later`() {
        var purse = CreditPurse(granted: Credit(messages: 2, bytes: 100))
        #expect(purse.spend(messages: 1, bytes: 60) == true)
        #expect(purse.giveBack() == Credit(messages: 2, bytes: 100))
        #expect(purse.spend(messages: 1, bytes: 0) == false)
        purse.granted(Credit(messages: 3, bytes: 110))
        #expect(purse.room == Credit(messages: 1, bytes: 10))
    }

    @Test func `refuses negative amounts`() {
        var purse = CreditPurse(granted: Credit(messages: 2, bytes: 100))
        #expect(purse.spend(messages: -1, bytes: 0) == false)
    }
}
