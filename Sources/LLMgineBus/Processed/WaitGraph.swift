import Synchronization

/// Which handlers wait for which subscriptions at this moment, so that none waits for itself by way of others.
final class WaitGraph: Sendable {
    /// Waiter, its targets, and how often it waits for each.
    private let edges = Mutex<[UInt32: [UInt32: Int]]>([:])

    /// Notes that a handler of one subscription waits for another. - Returns: false, with nothing noted, if that would close a circle.
    func begin(_ waiter: UInt32, for target: UInt32) -> Bool {
        edges.withLock { edges in
            guard !WaitGraph.reaches(waiter, from: target, edges) else { return false }
            edges[waiter, default: [:]][target, default: 0] += 1
            return true
        }
    }

    func end(_ waiter: UInt32, for target: UInt32) {
        edges.withLock { edges in
            guard let count = edges[waiter]?[target] else { return }
            edges[waiter]?[target] = count > 1 ? count - 1 : nil
            if edges[waiter]?.isEmpty ?? false { edges[waiter] = nil }
        }
    }

    private static func reaches(_ goal: UInt32, from start: UInt32, _ edges: [UInt32: [UInt32: Int]]) -> Bool {
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
