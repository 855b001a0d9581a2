import Synchronization

/// Joins what may end a wait: the one who makes room, the deadline, and the cancellation of the waiting task, in whatever order they come.
final class PendingWait: Sendable {
    private struct State {
        var id: UInt64?
        var timer: UInt64?
        var isCancelled = false
    }

    private let state = Mutex(State())

    /// The wait stands in line. True if the task was cancelled before it got there.
    func registered(_ id: UInt64, timer: UInt64) -> Bool {
        state.withLock { state in
            state.id = id
            state.timer = timer
            return state.isCancelled
        }
    }

    /// The task was cancelled. The wait to give up, if it stands in line.
    func cancelled() -> UInt64? {
        state.withLock { state in
            state.isCancelled = true
            return state.id
        }
    }

    var timer: UInt64? { state.withLock { $0.timer } }
}
