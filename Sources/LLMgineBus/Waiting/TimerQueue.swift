import Synchronization

/// Runs short actions at their time: deadlines of waits and requests, retries, scheduled events.
///
/// One sleeping task for the earliest entry, whatever the number of entries; nothing polls. Accurate to the scheduler's wake-up, well under 10 ms.
package final class TimerQueue: Sendable {
    fileprivate struct Entry {
        let due: ContinuousClock.Instant
        let id: UInt64
        let action: @Sendable () -> Void
    }

    fileprivate struct State {
        /// A binary heap, earliest first; cancelled entries stay until they come up.
        var heap: [Entry] = []
        var cancelled: Set<UInt64> = []
        var nextID: UInt64 = 0
        /// When the next sleeper wakes, if one sleeps.
        var wakes: ContinuousClock.Instant?
        var isStopped = false
    }

    private let state = Mutex(State())

    package init() {}

    /// Runs the action at the time or a little later, on a task of the default executor. It must not block.
    @discardableResult
    package func schedule(at due: ContinuousClock.Instant, _ action: @escaping @Sendable () -> Void) -> UInt64 {
        let (id, sleeps) = state.withLock { state in
            state.nextID += 1
            guard !state.isStopped else { return (state.nextID, false) }
            state.push(Entry(due: due, id: state.nextID, action: action))
            let sleeps = state.wakes.map { due < $0 } ?? true
            if sleeps { state.wakes = due }
            return (state.nextID, sleeps)
        }
        if sleeps { sleep(until: due) }
        return id
    }

    /// The action will not run, unless it is running already.
    package func cancel(_ id: UInt64) {
        state.withLock { state in
            // Remembered, and dropped when it comes up: finding it in the heap would cost a scan.
            state.cancelled.insert(id)
            if state.cancelled.count > 1024, state.cancelled.count * 2 > state.heap.count { state.dropCancelled() }
        }
    }

    /// Drops every entry. Actions that have not run will not, and neither will those that are set from now on.
    package func stop() {
        state.withLock { state in
            state.isStopped = true
            state.heap = []
            state.cancelled = []
        }
    }

    private func sleep(until due: ContinuousClock.Instant) {
        // Unstructured because a timer outlives the call that set it; it ends by itself after the entry's time.
        Task { [weak self] in
            try? await Task.sleep(until: due, tolerance: .zero, clock: .continuous)
            self?.wake(due)
        }
    }

    private func wake(_ woken: ContinuousClock.Instant) {
        let (actions, next) = state.withLock { state -> ([@Sendable () -> Void], ContinuousClock.Instant?) in
            let now = ContinuousClock.now
            var actions: [@Sendable () -> Void] = []
            while let first = state.heap.first, first.due <= now {
                state.pop()
                if state.cancelled.remove(first.id) == nil { actions.append(first.action) }
            }
            guard state.wakes == woken else { return (actions, nil) }  // an earlier sleeper has taken over
            state.wakes = state.heap.first?.due
            return (actions, state.wakes)
        }
        for action in actions { action() }
        if let next { sleep(until: next) }
    }
}

extension TimerQueue.State {
    fileprivate mutating func push(_ entry: TimerQueue.Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].due < heap[parent].due else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    fileprivate mutating func pop() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        sift(from: 0)
    }

    private mutating func sift(from start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].due < heap[least].due { least = child }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    fileprivate mutating func dropCancelled() {
        let kept = heap.filter { cancelled.remove($0.id) == nil }
        cancelled = []
        heap = []
        for entry in kept { push(entry) }
    }
}
