/// A node's own subscriptions as a log that its peers follow. This node is its only writer.
///
/// The version counts changes. Changes wait until ``flush()``, so that those of one coalescing window go out together and a subscription that
/// comes and goes within it is never heard of. What the peers should hold is `hash` at `version`.
package struct InterestLog: Sendable {
    /// The most entries that a node may have: what a peer accepts at most.
    package static let maximumEntries = 100_000

    private struct Change: Sendable {
        let flow: UInt32
        /// Whether the flow was there before the change.
        let existed: Bool
    }

    /// The number of changes so far.
    package private(set) var version: UInt64 = 0
    /// The sum of the hashes of the entries at ``version``.
    package private(set) var hash: UInt64 = 0
    private var committed: [UInt32: InterestEntry] = [:]
    /// The flushed changes up to ``version``, oldest first; `history.count` of them lie behind it. A ring once it is full.
    private var history: [Change] = []
    private let historyLimit: Int
    /// What the next flush does to each flow that changed: nil removes it.
    private var pending: [UInt32: InterestEntry?] = [:]
    private var pendingOrder: [UInt32] = []

    /// - Parameter historyLimit: how many changes can be told as a delta; a peer further behind gets a snapshot.
    package init(historyLimit: Int = 16_384) { self.historyLimit = max(1, historyLimit) }

    /// Whether a flush would change anything.
    package var hasPending: Bool { pending.contains { flow, entry in committed[flow] != entry } }
    /// The number of entries at ``version``.
    package var count: Int { committed.count }
    /// The entries at ``version``, by flow.
    package var entries: [InterestEntry] { committed.values.sorted { $0.flow < $1.flow } }

    /// Notes a new subscription, or a changed one.
    package mutating func add(_ entry: InterestEntry) { note(entry.flow, .some(entry)) }

    /// Notes the end of a subscription.
    package mutating func remove(_ flow: UInt32) { note(flow, .none) }

    /// Makes the noted changes part of the log. - Returns: whether there were any.
    @discardableResult package mutating func flush() -> Bool {
        let before = version
        for flow in pendingOrder {
            guard let entry = pending[flow] else { continue }
            let old = committed[flow]
            guard old != entry else { continue }
            if let old { hash &-= old.stableHash }
            if let entry { hash &+= entry.stableHash }
            committed[flow] = entry
            record(Change(flow: flow, existed: old != nil))
        }
        pending.removeAll(keepingCapacity: true)
        pendingOrder.removeAll(keepingCapacity: true)
        return version != before
    }

    /// What a peer at a version must hear to be at ``version``: a snapshot if the log does not reach back so far.
    package func delta(since: UInt64) -> InterestUpdate {
        guard since > 0, since <= version, version - since <= UInt64(history.count) else { return snapshot }
        var update = InterestUpdate(snapshot: false, from: since, to: version)
        var seen: Set<UInt32> = []
        var number = since
        while number < version {
            let change = history[Int(number % UInt64(historyLimit))]
            number += 1
            guard seen.insert(change.flow).inserted else { continue }
            if let entry = committed[change.flow] {
                update.adds.append(entry)
            } else if change.existed {
                update.removes.append(change.flow)
            }
        }
        return update
    }

    /// Everything.
    package var snapshot: InterestUpdate { InterestUpdate(snapshot: true, from: 0, to: version, adds: entries) }

    private mutating func note(_ flow: UInt32, _ entry: InterestEntry?) {
        if pending.updateValue(entry, forKey: flow) == nil { pendingOrder.append(flow) }
    }

    private mutating func record(_ change: Change) {
        if history.count < historyLimit {
            history.append(change)
        } else {
            history[Int(version % UInt64(historyLimit))] = change
        }
        version += 1
    }
}
