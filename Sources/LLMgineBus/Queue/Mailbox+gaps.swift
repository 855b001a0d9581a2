import LLMgineCore
import Synchronization

// What a handler is told of events that it will not get.
extension Mailbox {
    /// The most that one gap may come to. It is a peer's word, and many of them are added up.
    static let maximumGap = Int(UInt32.max)

    /// Notes that a publisher on another node dropped messages for us. Gaps come without credit, so those that follow on one another are one.
    /// - Parameter count: how many. Above ``maximumGap`` it counts as that many.
    /// - Returns: for how many it counts.
    @discardableResult
    func noteGap(_ count: Int, priority: Priority) -> Int {
        let count = min(max(0, count), Mailbox.maximumGap)
        let lane = Int(priority.rawValue)
        let sleeper = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.isClosed else { return nil }
            if !state.lanes[lane].widenLastGap(by: count) {
                state.lanes[lane].items.append(Item(body: .gap(count), sequence: 0, extras: nil))
            }
            pending.bitwiseOr(1 << priority.rawValue, ordering: .releasing)
            return state.takeSleeper()
        }
        sleeper?.resume()
        return count
    }

    /// How many places of the open chunks are gaps.
    var gaps: Int {
        state.withLock { state in
            var count = 0
            for lane in 0..<4 { count += state.lanes[lane].gaps }
            return count
        }
    }
}

extension Mailbox.Lane {
    /// Adds to the gap at the end of the chunk. False if something else is there, or nothing.
    mutating func widenLastGap(by count: Int) -> Bool {
        let last = items.count - 1
        guard last >= head, case .gap(let known) = items[last].body else { return false }
        items[last].body = .gap(max(known, min(known &+ count, Mailbox.maximumGap)))
        return true
    }

    /// How many items are gaps.
    fileprivate var gaps: Int {
        items[head...].count { item in
            if case .gap = item.body { return true }
            return false
        }
    }
}
