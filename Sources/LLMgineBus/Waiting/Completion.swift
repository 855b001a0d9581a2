import Synchronization

/// Something that ends once, and those who wait for it.
final class Completion: Sendable {
    private struct State {
        var isOver = false
        var waiters: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    var isOver: Bool { state.withLock { $0.isOver } }

    func finish() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    /// Waits for the end, whatever happens to the waiting task.
    func wait() async { _ = await wait { _ in nil } }

    /// Waits for the end or the deadline. - Returns: whether it is over.
    func wait(until end: ContinuousClock.Instant, on timers: TimerQueue) async -> Bool {
        await wait { [self] id in
            timers.schedule(at: end) { self.giveUp(id) }
        } cancelling: {
            timers.cancel($0)
        }
    }

    private func wait(_ onRegistered: (UInt64) -> UInt64?, cancelling: (UInt64) -> Void = { _ in }) async -> Bool {
        var timer: UInt64?
        let isOver = await withCheckedContinuation { continuation in
            let id: UInt64? = state.withLock { state in
                guard !state.isOver else { return nil }
                state.next += 1
                state.waiters[state.next] = continuation
                return state.next
            }
            if let id { timer = onRegistered(id) } else { continuation.resume(returning: true) }
        }
        if let timer { cancelling(timer) }
        return isOver
    }

    private func giveUp(_ id: UInt64) { state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: false) }
}
