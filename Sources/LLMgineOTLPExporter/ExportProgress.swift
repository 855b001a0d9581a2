package import LLMgineOTLP
import Synchronization

/// How far the export of spans has come, for those who want to know or to wait for it.
package final class ExportProgress: Sendable {
    /// What has happened so far.
    package struct Report: Sendable, Hashable {
        /// What became of the spans that were taken from the queue.
        package var counts = SpanBatcher.Counts()
        /// Requests that were made, whatever came of them.
        package var attempts = 0
    }

    private struct Watcher {
        let isEnough: @Sendable (Report) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var report = Report()
        var watchers: [Watcher] = []
    }

    private let state = Mutex(State())

    init() {}

    /// What has happened so far.
    package var report: Report { state.withLock { $0.report } }

    /// Returns once the report is as asked.
    package func reached(_ isEnough: @escaping @Sendable (Report) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if isEnough(state.report) { return true }
                state.watchers.append(Watcher(isEnough: isEnough, continuation: continuation))
                return false
            }
            if isDone { continuation.resume() }
        }
    }

    func attempted(counts: SpanBatcher.Counts) {
        let done = state.withLock { state in
            state.report.counts = counts
            state.report.attempts += 1
            let report = state.report
            let done = state.watchers.filter { $0.isEnough(report) }
            if !done.isEmpty { state.watchers.removeAll { $0.isEnough(report) } }
            return done
        }
        for watcher in done { watcher.continuation.resume() }
    }
}
