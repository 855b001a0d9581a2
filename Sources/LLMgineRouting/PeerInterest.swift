package import struct LLMgineCore.LLMgineError

/// What one peer told us of its subscriptions.
package struct PeerInterest: Sendable {
    /// What an update did.
    package enum Outcome: Sendable, Hashable {
        /// The routes changed. A changed entry is in both lists; removals go first.
        case changed(added: [InterestEntry], removed: [InterestEntry])
        /// It told nothing that we did not know.
        case stale
        /// Something between is missing: ask for all changes since this version. 0 asks for a snapshot.
        case gap(since: UInt64)
    }

    /// The version of the peer's log that we are at; 0 before the first update.
    package private(set) var version: UInt64 = 0
    /// The sum of the hashes of the entries.
    package private(set) var hash: UInt64 = 0
    private var known: [UInt32: InterestEntry] = [:]
    private let limit: Int
    /// Whether a snapshot was asked for because what we hold cannot be trusted.
    private var awaitsSnapshot = false

    /// - Parameter limit: how many entries the peer may have.
    package init(limit: Int = InterestLog.maximumEntries) { self.limit = limit }

    package var count: Int { known.count }
    /// The entries by flow.
    package var entries: [InterestEntry] { known.values.sorted { $0.flow < $1.flow } }

    package subscript(flow: UInt32) -> InterestEntry? { known[flow] }

    /// Takes an update in.
    /// - Throws: `limitExceeded` if the peer has more subscriptions than it may; nothing has changed then. `malformedFrame` if it runs backwards.
    package mutating func apply(_ update: InterestUpdate) throws(LLMgineError) -> Outcome {
        guard update.from <= update.to else {
            throw LLMgineError(.malformedFrame, "the interest update runs from version \(update.from) back to \(update.to)")
        }
        guard update.adds.count <= limit else { throw overLimit }
        if update.snapshot { return try replace(with: update) }
        guard !awaitsSnapshot, update.to > version else { return .stale }
        guard update.from == version else { return .gap(since: version) }
        return try amend(with: update)
    }

    /// Compares with what the peer says it has. - Returns: the version to ask from if we differ: 0 asks for a snapshot.
    ///
    /// The peer sends updates before it reports the version that they lead to, so a higher version means a lost update.
    package mutating func reported(version peerVersion: UInt64, hash peerHash: UInt64) -> UInt64? {
        if peerVersion == version, peerHash == hash { return nil }
        if peerVersion > version, !awaitsSnapshot { return version }
        awaitsSnapshot = true
        return 0
    }

    private mutating func replace(with update: InterestUpdate) throws(LLMgineError) -> Outcome {
        var fresh: [UInt32: InterestEntry] = [:]
        fresh.reserveCapacity(update.adds.count)
        for entry in update.adds { fresh[entry.flow] = entry }
        let removed = entries.filter { fresh[$0.flow] != $0 }
        let added = fresh.values.filter { known[$0.flow] != $0 }.sorted { $0.flow < $1.flow }
        known = fresh
        hash = fresh.values.reduce(0) { $0 &+ $1.stableHash }
        version = update.to
        awaitsSnapshot = false
        return .changed(added: added, removed: removed)
    }

    private mutating func amend(with update: InterestUpdate) throws(LLMgineError) -> Outcome {
        // Removals go first; one of what is not there, or of the same once more, makes no room. Adds of what is there take none.
        let gone = Set(update.removes.filter { known[$0] != nil })
        let fresh = Set(update.adds.lazy.map(\.flow)).count { known[$0] == nil || gone.contains($0) }
        guard known.count - gone.count + fresh <= limit else { throw overLimit }
        var added: [InterestEntry] = []
        var removed: [InterestEntry] = []
        for flow in update.removes {
            guard let old = known.removeValue(forKey: flow) else { continue }
            hash &-= old.stableHash
            removed.append(old)
        }
        for entry in update.adds {
            let old = known.updateValue(entry, forKey: entry.flow)
            guard old != entry else { continue }
            if let old {
                hash &-= old.stableHash
                removed.append(old)
            }
            hash &+= entry.stableHash
            added.append(entry)
        }
        version = update.to
        return .changed(added: added, removed: removed)
    }

    private var overLimit: LLMgineError { LLMgineError(.limitExceeded, "the peer has more than \(limit) subscriptions") }
}
