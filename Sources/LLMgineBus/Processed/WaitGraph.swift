import Synchronization

/// Which handlers wait for which subscriptions at this moment, so that none waits for itself by way of others.
///
/// A handler that waits only for its turn *yields*: its wait ends where it would close a circle with another one.
final class WaitGraph: Sendable {
    fileprivate struct Turn {
        let waiter: UInt32
        let targets: [UInt32]
        let yield: @Sendable () -> Void
    }

    fileprivate struct State {
        /// Waiter, its targets, and how often it waits for each.
        var edges: [UInt32: [UInt32: Int]] = [:]
        var turns: [UInt64: Turn] = [:]
        var nextTurn: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Notes that a handler of one subscription waits for another. - Returns: false, with nothing noted, if that would close a circle.
    func begin(_ waiter: UInt32, for target: UInt32) -> Bool {
        let (isNoted, yielding) = state.withLock { state -> (Bool, [Turn]) in
            if !state.reaches(waiter, from: target) {
                state.add(waiter, target)
                return (true, [])
            }
            let turns = state.turns.filter { $0.value.targets.contains(waiter) }
            for turn in turns.values { state.remove(turn) }
            guard !turns.isEmpty, !state.reaches(waiter, from: target) else {
                for turn in turns.values { for target in turn.targets { state.add(turn.waiter, target) } }
                return (false, [])
            }
            for turn in turns.keys { state.turns[turn] = nil }
            state.add(waiter, target)
            return (true, Array(turns.values))
        }
        for turn in yielding { turn.yield() }
        return isNoted
    }

    func end(_ waiter: UInt32, for target: UInt32) { state.withLock { $0.remove(waiter, target) } }

    /// Notes that a handler waits for its turn behind others. - Returns: nil, with nothing noted, if that would close a circle.
    func beginTurn(of waiter: UInt32, behind targets: [UInt32], yield: @escaping @Sendable () -> Void) -> UInt64? {
        state.withLock { state in
            guard !targets.contains(where: { state.reaches(waiter, from: $0) }) else { return nil }
            for target in targets { state.add(waiter, target) }
            state.nextTurn += 1
            state.turns[state.nextTurn] = Turn(waiter: waiter, targets: targets, yield: yield)
            return state.nextTurn
        }
    }

    func endTurn(_ id: UInt64) {
        state.withLock { state in
            guard let turn = state.turns.removeValue(forKey: id) else { return }
            state.remove(turn)
        }
    }
}

extension WaitGraph.State {
    fileprivate mutating func add(_ waiter: UInt32, _ target: UInt32) { edges[waiter, default: [:]][target, default: 0] += 1 }

    fileprivate mutating func remove(_ waiter: UInt32, _ target: UInt32) {
        guard let count = edges[waiter]?[target] else { return }
        edges[waiter]?[target] = count > 1 ? count - 1 : nil
        if edges[waiter]?.isEmpty ?? false { edges[waiter] = nil }
    }

    fileprivate mutating func remove(_ turn: WaitGraph.Turn) { for target in turn.targets { remove(turn.waiter, target) } }

    fileprivate func reaches(_ goal: UInt32, from start: UInt32) -> Bool {
        var seen: Set<UInt32> = []
        var open = [start]
        while let next = open.popLast() {
            if next == goal { return true }
            guard seen.insert(next).inserted, let targets = edges[next] else { continue }
            open += targets.keys
        }
        return false
    }
}

/// The subscription whose handler the current task runs, where several run at once: one of them cannot be told by its consumer's task.
enum HandlerScope {
    @TaskLocal static var current: UInt32?
}

extension AnySubscriber {
    /// Whether the caller is a handler of this subscription.
    var isCalledByHandler: Bool { isCalledByItself || (options.concurrency > 1 && HandlerScope.current == id) }
}

extension MessageBus {
    /// The subscription whose handler makes this call.
    var callingSubscription: UInt32? {
        HandlerScope.current ?? registry.withLock { registry in registry.subscriptions.first { $0.value.subscriber.isCalledByItself }?.key }
    }
}
