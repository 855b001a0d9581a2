import LLMgineCore
import LLMgineFlow
import Testing

/// One ledger and the budget that it draws on. A class, since `#expect` takes no calls that change two values.
private final class Account {
    final class Memory {
        var budget: CreditBudget
        init(_ bytes: UInt64) { budget = CreditBudget(bytes: bytes) }
    }

    let memory: Memory
    private var ledger: CreditLedger

    static let target = Credit(messages: 1000, bytes: 1 << 20)

    init(_ target: Credit = Account.target, in memory: Memory = Memory(64 << 20), isCold: Bool = false) {
        self.memory = memory
        let isReserved = !isCold && memory.budget.open(CreditLedger.share(target))
        ledger = CreditLedger(target: target, isCold: !isReserved)
    }

    var budget: CreditBudget { memory.budget }
    var granted: Credit { ledger.granted }
    var held: UInt64 { ledger.held }
    var isStarved: Bool { ledger.isStarved }
    var isBehind: Bool { ledger.isBehind }

    func received(_ messages: Int, _ bytes: Int) throws(LLMgineError) { try ledger.received(messages: messages, bytes: bytes) }
    func consumed(_ messages: Int, _ bytes: Int) -> Bool { ledger.consumed(messages: messages, bytes: bytes) }
    func blocked(at sent: Credit, next: UInt64, waiting: Credit) throws(LLMgineError) {
        try ledger.blocked(at: sent, next: next, waiting: waiting)
    }
    func refilled(isFirst: Bool = false) -> CreditLedger.Refill { ledger.refilled(from: &memory.budget, isFirst: isFirst) }
    func ticked() -> Bool { ledger.ticked(idleAfter: 2, in: &memory.budget) }
    func drained(at limit: Credit) throws(LLMgineError) { try ledger.drained(at: limit) }
    func closed() { ledger.closed(in: &memory.budget) }
    func forgotten() { ledger.forgotten(in: &memory.budget) }
}

@Suite struct `A credit ledger` {
    @Test func `tells when what comes will lie there for a while`() throws {
        let account = Account()
        try account.received(16, 160)
        #expect(!account.isBehind)
        try account.received(1, 10)
        #expect(account.isBehind)
        _ = account.consumed(1, 10)
        #expect(!account.isBehind)
    }

    @Test func `starts with the exclusive window, or less if it never wants more`() {
        let one = Account()
        #expect(one.granted == CreditBudget.exclusive)
        #expect(Account(Credit(messages: 4, bytes: 100), in: one.memory).granted == Credit(messages: 4, bytes: 100))
        #expect(one.budget.reserved == 64 * 64 + 4096 + 4 * 64 + 100)
        #expect(Account(isCold: true).granted == .none)
    }

    @Test func `owes a grant once half of the last one is dealt with, by messages or by bytes`() throws {
        let ledger = Account()
        try ledger.received(40, 2100)
        #expect(!ledger.consumed(31, 1000))
        #expect(ledger.consumed(1, 10))
        #expect(ledger.refilled().grant == Credit(messages: 96, bytes: 5106))
        #expect(!ledger.consumed(8, 1090))
        try ledger.received(1, 2000)
        #expect(ledger.consumed(1, 2000))
    }

    @Test func `grants nothing past the target, however often a publisher says that it is blocked by a handler that does nothing`() throws {
        let ledger = Account(Credit(messages: 4, bytes: 1000))
        try ledger.received(4, 40)
        for _ in 0..<3 {
            try ledger.blocked(at: Credit(messages: 4, bytes: 40), next: 10, waiting: Credit(messages: 7, bytes: 70))
            #expect(ledger.refilled() == .init())
            #expect(ledger.isStarved)
        }
        #expect(ledger.granted.messages == 4)
        #expect(!ledger.consumed(1, 10))
        #expect(ledger.consumed(1, 10))
        #expect(ledger.refilled().grant?.messages == 6)
        #expect(!ledger.isStarved)
    }

    @Test func `answers a publisher that is blocked at once, with a wider window`() throws {
        let ledger = Account()
        try ledger.received(64, 640)
        try ledger.blocked(at: Credit(messages: 64, bytes: 640), next: 10, waiting: Credit(messages: 10, bytes: 100))
        #expect(ledger.refilled() == .init(grant: Credit(messages: 256, bytes: 16 << 10)))
        try ledger.received(192, 1920)
        _ = ledger.consumed(256, 2560)
        try ledger.blocked(at: Credit(messages: 256, bytes: 2560), next: 10, waiting: Credit(messages: 900, bytes: 100_000))
        #expect(ledger.refilled() == .init(grant: Credit(messages: 256 + 1000, bytes: 2560 + 100_000)))
        try ledger.blocked(at: Credit(messages: 256, bytes: 2560), next: 10, waiting: Credit(messages: .max, bytes: .max))
        #expect(ledger.refilled() == .init(grant: Credit(messages: 256 + 1000, bytes: 2560 + (1 << 20))))
    }

    @Test func `makes room for the one message that comes next, at the latest when all that was sent is dealt with`() throws {
        let ledger = Account()
        try ledger.received(1, 4000)
        try ledger.blocked(at: Credit(messages: 1, bytes: 4000), next: 1 << 20, waiting: Credit(messages: 1, bytes: 1 << 20))
        #expect(ledger.refilled() == .init())  // with what is queued it is more than the target
        #expect(ledger.consumed(1, 4000))
        #expect(try #require(ledger.refilled().grant).bytes >= 4000 + (1 << 20))
    }

    @Test func `lacks what the budget does not have, and takes it when it is there`() throws {
        let memory = Account.Memory(40_000)
        let (one, other) = (Account(in: memory), Account(in: memory))
        try one.blocked(at: .none, next: 20_000, waiting: Credit(messages: 1, bytes: 20_000))
        #expect(one.refilled().lacks == nil)
        try other.blocked(at: .none, next: 20_000, waiting: Credit(messages: 1, bytes: 20_000))
        let refill = other.refilled()
        let lacks = try #require(refill.lacks)
        #expect(other.isStarved)
        try one.received(1, 20_000)
        #expect(one.consumed(1, 20_000))
        one.closed()
        #expect(lacks <= memory.budget.free)
        #expect(try #require(other.refilled(isFirst: true).grant).bytes >= 20_000)
        #expect(!other.isStarved)
    }

    @Test func `notices a peer that sends past its grant, or says so`() throws {
        let ledger = Account(Credit(messages: 1, bytes: 10))
        try ledger.received(1, 10)
        #expect(throws: LLMgineError(.creditOverdrawn, "")) { try ledger.received(1, 0) }
        let beyond = Credit(messages: 0, bytes: 11)
        #expect(throws: LLMgineError(.creditOverdrawn, "")) { try ledger.blocked(at: beyond, next: 1, waiting: .none) }
    }

    @Test func `takes back what an idle publisher does not use, and begins again with the first window`() throws {
        let ledger = Account()
        try ledger.received(64, 640)
        try ledger.blocked(at: Credit(messages: 64, bytes: 640), next: 10, waiting: Credit(messages: 1000, bytes: 1 << 20))
        let limit = try #require(ledger.refilled().grant)
        _ = ledger.consumed(64, 640)
        #expect(ledger.budget.floating > 1 << 20)
        #expect(!ledger.ticked())
        #expect(!ledger.ticked())
        #expect(ledger.ticked())
        #expect(!ledger.ticked(), "asked once")
        try ledger.drained(at: limit)
        #expect(
            ledger.refilled().grant
                == Credit(messages: limit.messages + 64, bytes: limit.bytes + 4096))
        #expect(ledger.budget.floating == 0)
        for _ in 0..<5 { #expect(!ledger.ticked(), "it has nothing to give back") }
    }

    @Test func `does not believe a publisher that gives back what it cannot have`() throws {
        let ledger = Account()
        #expect(throws: LLMgineError(.malformedFrame, "")) { try ledger.drained(at: .none) }
        try ledger.blocked(at: .none, next: 10, waiting: Credit(messages: 1000, bytes: 1 << 20))
        _ = ledger.refilled()
        try ledger.received(2, 20)
        _ = ledger.consumed(2, 20)
        while !ledger.ticked() {}
        #expect(throws: LLMgineError(.malformedFrame, "")) { try ledger.drained(at: Credit(messages: 1, bytes: 20)) }
        #expect(throws: LLMgineError(.creditOverdrawn, "")) { try ledger.drained(at: Credit(messages: 1001, bytes: 20)) }
        try ledger.drained(at: Credit(messages: 3, bytes: 20))
    }

    @Test func `does not mind what was on its way when the subscription ended`() throws {
        let ledger = Account()
        try ledger.received(10, 1000)
        ledger.closed()
        try ledger.received(1, 100)
        try ledger.blocked(at: Credit(messages: 64, bytes: 4096), next: 1, waiting: .none)
        try ledger.drained(at: Credit(messages: 64, bytes: 4096))
        #expect(ledger.refilled() == .init())
        #expect(ledger.budget.used == 11 * 64 + 1100)
        #expect(ledger.consumed(11, 1100))
        #expect(ledger.refilled() == .init())
        #expect(ledger.budget.used == 0)
    }

    @Test func `keeps counting what is queued when the link is gone, until it is dealt with`() throws {
        let ledger = Account()
        try ledger.received(10, 1000)
        ledger.closed()
        #expect((ledger.budget.reserved, ledger.budget.floating) == (0, 10 * 64 + 1000))
        #expect(ledger.consumed(4, 400))
        #expect(ledger.refilled() == .init())
        #expect(ledger.budget.used == 6 * 64 + 600)
        ledger.forgotten()
        #expect(ledger.budget.used == 0)
    }
}

@Suite struct `A credit budget` {
    @Test func `leaves k that hold what they can get a fair part, and as much for the next`() throws {
        let memory = Account.Memory(1 << 20)
        var held: [UInt64] = []
        for _ in 0..<3 {
            let account = Account(Credit(messages: 1, bytes: 16 << 20), in: memory, isCold: true)
            try account.blocked(at: .none, next: 1, waiting: Credit(messages: 1, bytes: .max))
            _ = account.refilled()
            held.append(account.held)
        }
        #expect(held == [512 << 10, 256 << 10, 128 << 10])
        #expect(memory.budget.free == 128 << 10)
    }

    @Test func `gives exclusive shares for half of it, and no more`() {
        var budget = CreditBudget(bytes: 1000)
        let opened = [budget.open(500), budget.open(1)]
        #expect(opened == [true, false])
        budget.close(500)
        #expect(budget.open(1) == true)
    }

    @Test func `keeps what the first in line needs from all others`() {
        var budget = CreditBudget(bytes: 1000)
        budget.earmarked = 900
        #expect(budget.ceiling(holding: 0, needs: 200, isFirst: false) == 50)
        #expect(budget.ceiling(holding: 0, needs: 900, isFirst: true) == 900)
        budget.earmarked = 2000
        #expect(budget.ceiling(holding: 0, needs: 1, isFirst: false) == 0)
    }

    @Test func `holds a hundred nodes with a thousand subscriptions each to itself`() throws {
        let memory = Account.Memory(256 << 20)
        let target = Credit(messages: 10_000, bytes: 4 << 20)
        let share = CreditLedger.share(target) * 4
        var warm = 0
        for _ in 0..<99_000 where memory.budget.open(share) { warm += 1 }
        #expect(warm == 4096)
        #expect(memory.budget.used == 128 << 20)
        // A thousand of the others become busy at once, and stay stuck.
        for _ in 0..<1000 {
            let account = Account(target, in: memory, isCold: true)
            try account.blocked(at: .none, next: 128, waiting: Credit(messages: 10_000, bytes: 4 << 20))
            _ = account.refilled()
            #expect(memory.budget.used <= memory.budget.bytes)
        }
    }
}
