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

    @Test func `refuses negative amounts`() {
        var purse = CreditPurse(granted: Credit(messages: 2, bytes: 100))
        #expect(purse.spend(messages: -1, bytes: 0) == false)
    }
}

@Suite struct `A credit ledger` {
    @Test func `owes a grant at half a window`() throws {
        var ledger = CreditLedger(window: Credit(messages: 4, bytes: 1000))
        try ledger.received(messages: 4, bytes: 40)
        #expect(ledger.consumed(messages: 1, bytes: 10) == nil)
        #expect(ledger.consumed(messages: 1, bytes: 10) == Credit(messages: 6, bytes: 1020))
        #expect(ledger.consumed(messages: 1, bytes: 10) == nil)
        #expect(ledger.blocked() == Credit(messages: 7, bytes: 1030))
    }

    @Test func `owes a grant at half of the bytes as well`() throws {
        var ledger = CreditLedger(window: Credit(messages: 100, bytes: 1000))
        try ledger.received(messages: 1, bytes: 500)
        #expect(ledger.consumed(messages: 1, bytes: 500) == Credit(messages: 101, bytes: 1500))
    }

    @Test func `notices a peer that sends past its grant`() throws {
        var ledger = CreditLedger(window: Credit(messages: 1, bytes: 10))
        try ledger.received(messages: 1, bytes: 10)
        #expect(throws: LLMgineError(.creditOverdrawn, "")) { try ledger.received(messages: 1, bytes: 0) }
    }

    @Test(arguments: [UInt64(1), 2, 3, 7, 64, 4096])
    func `never lets a purse overdraw and leaks nothing`(window: UInt64) throws {
        var ledger = CreditLedger(window: Credit(messages: window, bytes: window * 100))
        var purse = CreditPurse(granted: ledger.granted)
        var sent = 0
        for _ in 0..<10_000 {
            while purse.spend(messages: 1, bytes: 100) {
                try ledger.received(messages: 1, bytes: 100)
                sent += 1
            }
            #expect(ledger.outstanding.messages <= window)
            if ledger.outstanding.messages > 0, let grant = ledger.consumed(messages: 1, bytes: 100) { purse.granted(grant) }
        }
        #expect(sent > 9_000)
    }
}
