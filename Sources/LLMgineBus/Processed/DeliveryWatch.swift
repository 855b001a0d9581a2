import LLMgineCore
import Synchronization

/// Waits until all copies of one event are done with.
final class DeliveryWatch: Sendable {
    enum Verdict: Sendable {
        case done, late, cancelled
    }

    private struct State {
        var open: [Int: String] = [:]
        var next = 0
        var isSealed = false
    }

    private let state = Mutex(State())
    private let outcome = Outcome<Verdict>()

    /// A token for one more copy.
    func token(for subscription: String) -> DeliveryToken {
        let id = state.withLock { state in
            state.next += 1
            state.open[state.next] = subscription
            return state.next
        }
        return DeliveryToken { [weak self] in self?.settled(id) }
    }

    private func settled(_ id: Int) {
        let isDone = state.withLock { state in
            state.open[id] = nil
            return state.isSealed && state.open.isEmpty
        }
        if isDone { outcome.settle(.done) }
    }

    /// There will be no more copies. Waits for those that there are.
    func wait(until end: ContinuousClock.Instant, on timers: TimerQueue) async -> Verdict {
        let isDone = state.withLock { state in
            state.isSealed = true
            return state.open.isEmpty
        }
        if isDone { return .done }
        let timer = timers.schedule(at: end) { [outcome] in outcome.settle(.late) }
        defer { timers.cancel(timer) }
        return await withTaskCancellationHandler {
            await outcome.result()
        } onCancel: {
            outcome.settle(.cancelled)
        }
    }

    /// The subscriptions that are not done.
    var unfinished: [String] { state.withLock { $0.open.sorted { $0.key < $1.key }.map(\.value) } }
}

/// Travels with one copy of an event, and tells when the copy is done with: handled, given up, or lost in any other way.
package final class DeliveryToken: Sendable {
    private let isOpen = Atomic<Bool>(true)
    private let action: @Sendable () -> Void

    init(_ action: @escaping @Sendable () -> Void) { self.action = action }

    func settle() {
        if isOpen.exchange(false, ordering: .relaxed) { action() }
    }

    /// Tells nothing any more.
    func disarm() { isOpen.store(false, ordering: .relaxed) }

    deinit { settle() }  // nobody holds the copy any more: it was evicted
}
