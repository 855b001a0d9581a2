import LLMgineCore
import LLMgineFlow
import Synchronization

// What an outlet keeps counts in the memory budget of the node.
extension Outlet {
    /// Whether the budget has room for one more event of so many bytes. If not, the office will call when it has.
    func hasMemory(for bytes: Int, _ state: inout State) -> Bool {
        let total = state.window.bytes + bytes
        guard !state.lease.covers(total) else { return true }
        return services.office.lend(to: self) { state.lease.grow(to: total, isEmpty: state.window.isEmpty, from: &$0) }
    }

    /// Returns what the window does not need any more to the budget, where others may wait for it.
    func giveBack() {
        let isServing = state.withLock { state in
            guard state.lease.isLoose(around: state.window.bytes) else { return false }
            services.office.change { state.lease.shrink(to: state.window.bytes, in: &$0) }
            return true
        }
        if isServing { services.office.serve() }
    }

    /// A second has passed: a window that is empty needs nothing.
    func ticked() {
        state.withLock { state in
            guard state.window.isEmpty, state.lease.held > 0 else { return }
            services.office.change { state.lease.shrink(to: 0, in: &$0) }
        }
    }

    /// There is memory again: publishers may try once more.
    func budgetFreed() {
        let waiters = state.withLock { state in
            state.hasTurnedAway = false
            state.isDemoted = false
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.resume(returning: true) }
    }
}
