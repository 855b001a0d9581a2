import HeapModule
import Synchronization

/// Runs short actions at their time: deadlines of waits and requests, retries, scheduled events.
///
/// It lasts as long as somebody refers to it, also beyond the stop of its bus: what waits then still has its deadline. What has not run by its end
/// never does.
///
/// At most two sleeping tasks, whatever the number of entries; nothing polls. Accurate to the scheduler's wake-up, well under 10 ms.
package final class TimerQueue: Sendable {
    fileprivate struct Entry: Comparable {
        let due: ContinuousClock.Instant
        let id: UInt64

        static func < (one: Entry, other: Entry) -> Bool { (one.due, one.id) < (other.due, other.id) }
    }

    fileprivate struct State {
        /// Entries without an action were cancelled, and stay until they come up or are too many.
        var heap = Heap<Entry>()
        var actions: [UInt64: @Sendable () -> Void] = [:]
        var nextID: UInt64 = 0
        /// Who will be awake in time, latest first: one for what was far away, and one for what came up since and is due sooner.
        var sleepers: [Sleeper] = []
        var nextSleeper: UInt64 = 0
        /// Tasks that sleep, also those that were dismissed and have not noticed.
        var asleep = 0
    }

    fileprivate struct Sleeper {
        let number: UInt64
        let due: ContinuousClock.Instant
        let task: Task<Void, Never>
    }

    /// The far sleeper stays where it is while short timers come and go: it need not be replaced for each.
    private static let maximumSleepers = 2

    private let state = Mutex(State())

    package init() {}

    /// Whoever waits with a deadline holds the queue, so nobody waits for what is dropped here.
    deinit {
        let sleepers = state.withLock { $0.sleepers }
        for sleeper in sleepers { sleeper.task.cancel() }
    }

    /// Runs the action at the time or a little later, on a task of the default executor. It must not block.
    @discardableResult
    package func schedule(at due: ContinuousClock.Instant, _ action: @escaping @Sendable () -> Void) -> UInt64 {
        let due = min(due, ContinuousClock.now.advanced(by: .horizon))  // nobody can sleep for ever
        let (id, dismissed) = state.withLock { state -> (UInt64, Task<Void, Never>?) in
            state.nextID += 1
            state.heap.insert(Entry(due: due, id: state.nextID))
            state.actions[state.nextID] = action
            guard state.needsSleeper(for: due) else { return (state.nextID, nil) }
            let dismissed = state.sleepers.count < TimerQueue.maximumSleepers ? nil : state.sleepers.removeLast()
            sleep(until: due, &state)
            return (state.nextID, dismissed?.task)
        }
        dismissed?.cancel()
        return id
    }

    /// The action will not run, unless it is running already. What it refers to is let go of at once.
    package func cancel(_ id: UInt64) {
        // Handed out of the lock: what goes with the action may end here.
        _ = state.withLock { state -> (@Sendable () -> Void)? in
            // The entry stays: finding it in the heap would cost a scan.
            let action = state.actions.removeValue(forKey: id)
            if state.heap.count > 1024, state.heap.count > 2 * state.actions.count { state.dropCancelled() }
            return action
        }
    }

    /// How many tasks sleep now.
    package var sleepers: Int { state.withLock { $0.asleep } }

    private func sleep(until due: ContinuousClock.Instant, _ state: inout State) {
        state.nextSleeper += 1
        let number = state.nextSleeper
        // Unstructured because a timer outlives the call that set it; it ends by itself after the entry's time, or when it is dismissed.
        let task = Task { [weak self] in
            try? await Task.sleep(until: due, tolerance: .zero, clock: .continuous)
            self?.wake(number)
        }
        state.sleepers.append(Sleeper(number: number, due: due, task: task))
        state.asleep += 1
    }

    private func wake(_ number: UInt64) {
        let actions = state.withLock { state -> [@Sendable () -> Void] in
            state.asleep -= 1
            // One that was dismissed has nothing to do: another is awake sooner.
            guard let index = state.sleepers.firstIndex(where: { $0.number == number }) else { return [] }
            state.sleepers.remove(at: index)
            let now = ContinuousClock.now
            var actions: [@Sendable () -> Void] = []
            while let first = state.heap.min, first.due <= now {
                state.heap.removeMin()
                if let action = state.actions.removeValue(forKey: first.id) { actions.append(action) }
            }
            if let next = state.heap.min?.due, state.needsSleeper(for: next) { sleep(until: next, &state) }
            return actions
        }
        for action in actions { action() }
    }
}

extension TimerQueue.State {
    /// Whether nobody will be awake by then.
    fileprivate func needsSleeper(for due: ContinuousClock.Instant) -> Bool { sleepers.last.map { due < $0.due } ?? true }

    fileprivate mutating func dropCancelled() { heap = Heap(heap.unordered.filter { actions[$0.id] != nil }) }
}
