import LLMgineCore
import LLMgineFlow
import Testing

@Suite struct `What a window borrows of the memory budget` {
    private static let whole: UInt64 = 8 << 20
    private static let most = whole / 4 + WindowLease.step

    @Test func `is drawn in steps and given back in steps`() {
        var budget = CreditBudget(bytes: Self.whole)
        var lease = WindowLease()
        #expect(lease.grow(to: 100, isEmpty: true, from: &budget) == nil)
        #expect((lease.held, budget.windows, budget.floating) == (WindowLease.step, WindowLease.step, WindowLease.step))
        #expect(lease.covers(64 << 10) && !lease.covers(64 << 10 + 1))
        #expect(lease.grow(to: 200 << 10, isEmpty: false, from: &budget) == nil)
        #expect(lease.held == 256 << 10)
        #expect(!lease.isLoose(around: 129 << 10) && lease.isLoose(around: 128 << 10))
        lease.shrink(to: 100 << 10, in: &budget)
        #expect((lease.held, budget.windows, budget.floating) == (128 << 10, 128 << 10, 128 << 10))
        lease.shrink(to: 0, in: &budget)
        #expect((lease.held, budget.windows, budget.floating) == (0, 0, 0))
    }

    @Test func `is a quarter of the whole at most, and always leaves some for the next`() {
        var budget = CreditBudget(bytes: Self.whole)
        var kept: [UInt64] = []
        for _ in 0..<10 {
            var lease = WindowLease()
            var bytes = 0
            while lease.grow(to: bytes + 1000, isEmpty: bytes == 0, from: &budget) == nil { bytes += 1000 }
            kept.append(lease.held)
        }
        #expect(kept.reduce(0, +) == budget.windows)
        #expect(budget.windows <= Self.most)
        #expect(kept[0] <= Self.most / 2)
        #expect(zip(kept, kept.dropFirst()).allSatisfy { $0 >= $1 })
        #expect(kept.allSatisfy { $0 > 0 })
    }

    @Test func `lets an empty window have the largest message whatever the budget, and says what must be free for it`() {
        var budget = CreditBudget(bytes: Self.whole)
        var (first, second) = (WindowLease(), WindowLease())
        #expect(first.grow(to: 2 << 20, isEmpty: true, from: &budget) == nil)
        #expect(second.grow(to: 100_000, isEmpty: true, from: &budget) == 100_000)
        #expect(second.grow(to: 60_000, isEmpty: true, from: &budget) == nil)
        #expect(second.grow(to: 70_000, isEmpty: false, from: &budget) == 140_000 - second.held)
        first.shrink(to: 0, in: &budget)
        #expect(budget.freeForWindows >= 140_000 - second.held)
        #expect(second.grow(to: 70_000, isEmpty: false, from: &budget) == nil)
    }

    @Test func `takes nothing of what is kept for the first in line`() {
        var budget = CreditBudget(bytes: Self.whole)
        budget.earmarked = Self.whole - 1000
        var lease = WindowLease()
        #expect(lease.grow(to: 1001, isEmpty: true, from: &budget) == 1001)
        #expect(lease.grow(to: 1000, isEmpty: true, from: &budget) == nil)
    }

    @Test func `counts what it has got without asking`() {
        var budget = CreditBudget(bytes: Self.whole)
        var lease = WindowLease()
        lease.force(to: 16 << 20, in: &budget)
        #expect((lease.held, budget.free, budget.freeForWindows) == (16 << 20, 0, 0))
        lease.force(to: 1 << 20, in: &budget)
        #expect(lease.held == 16 << 20)
        lease.shrink(to: 0, in: &budget)
        #expect(budget.free == Self.whole)
    }
}
