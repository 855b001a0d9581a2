import LLMgineFlow
import Synchronization

/// Lends the node's memory to what its peers send: one ``CreditBudget`` for all flows of all links, and the line of those that it could not serve.
///
/// Locks are taken in this order: a class's ledger or an outlet, then the office. Nothing here is asked for a message: an account comes by when half
/// of its window is dealt with, when its publisher is blocked, and once a second; an outlet for each 64 KiB that it keeps more or less.
final class CreditOffice: Sendable {
    private struct State {
        var budget: CreditBudget
        /// Those that lack room, in the order in which they came, and how much each lacks.
        var line: [(account: InboundClass, lacks: UInt64)] = []
        /// Windows that had to turn publishers away, and how much each lacks.
        var outlets: [ObjectIdentifier: (outlet: Outlet, lacks: UInt64)] = [:]

        mutating func mark() { budget.earmarked = line.first?.lacks ?? 0 }
    }

    private let state: Mutex<State>

    init(bytes: UInt64) { state = Mutex(State(budget: CreditBudget(bytes: bytes))) }

    /// The budget as it is now.
    var budget: CreditBudget { state.withLock { $0.budget } }

    /// How many accounts and windows lack room.
    var waiting: Int { state.withLock { $0.line.count + $0.outlets.count } }

    /// Draws on the budget.
    func change<Result: Sendable>(_ body: (inout CreditBudget) -> Result) -> Result { state.withLock { body(&$0.budget) } }

    /// An account has asked. - Parameter lacks: what it could not have, nil if it has what it needs.
    func asked(_ account: InboundClass, lacks: UInt64?) {
        state.withLock { state in
            let place = state.line.firstIndex { $0.account === account }
            switch (place, lacks) {
            case (let place?, let lacks?): state.line[place].lacks = lacks
            case (let place?, nil): state.line.remove(at: place)
            case (nil, let lacks?): state.line.append((account, lacks))
            case (nil, nil): return
            }
            state.mark()
        }
    }

    /// Lends to a window. - Parameter body: says what must be free for it, nil if it has what it needs.
    /// - Returns: whether it has. If not, it is called when there is as much.
    func lend(to outlet: Outlet, _ body: (inout CreditBudget) -> UInt64?) -> Bool {
        state.withLock { state in
            guard let lacks = body(&state.budget) else { return true }
            state.outlets[ObjectIdentifier(outlet)] = (outlet, lacks)
            return false
        }
    }

    /// It wants no more.
    func forget(_ outlet: Outlet) { state.withLock { $0.outlets[ObjectIdentifier(outlet)] = nil } }

    /// Gives the first in line what they lack for as long as there is enough, and then calls the publishers that windows have turned away.
    func serve() {
        serveLine()
        let served = state.withLock { state -> [Outlet] in
            guard !state.outlets.isEmpty else { return [] }
            let free = state.budget.freeForWindows
            let served = state.outlets.filter { $0.value.lacks <= free }
            for key in served.keys { state.outlets[key] = nil }
            return served.values.map(\.outlet)
        }
        for outlet in served { outlet.budgetFreed() }
    }

    private func serveLine() {
        while let first = state.withLock({ state -> InboundClass? in
            guard let first = state.line.first, first.lacks <= state.budget.free else { return nil }
            return first.account
        }) {
            guard first.served() else { return }
        }
    }
}
