/// What changed in a node's interest between two versions, or all of it.
package struct InterestUpdate: Sendable, Hashable {
    /// Whether the adds replace everything known before.
    package var snapshot: Bool
    /// The version that the receiver must have; 0 in a snapshot.
    package var from: UInt64
    /// The version that the receiver has afterwards.
    package var to: UInt64
    package var adds: [InterestEntry]
    /// Flows that ended. They go before the adds are made.
    package var removes: [UInt32]

    package init(snapshot: Bool, from: UInt64, to: UInt64, adds: [InterestEntry] = [], removes: [UInt32] = []) {
        self.snapshot = snapshot
        self.from = from
        self.to = to
        self.adds = adds
        self.removes = removes
    }

    /// The same update in parts of about this many bytes, to be applied in order.
    ///
    /// A version counts changes and an update holds no more changes than versions, so the parts can end at versions of their own below `to`.
    /// Only the last part reaches `to`: an acknowledgement of it is one of all. A receiver that has routes when a split
    /// snapshot arrives loses, for the time between two parts, the routes that come with the later ones.
    package func split(maximumBytes: Int = 256 * 1024) -> [InterestUpdate] {
        var parts: [InterestUpdate] = []
        var part = InterestUpdate(snapshot: snapshot, from: from, to: to)
        var bytes = 0
        var left = UInt64(adds.count + removes.count)
        func closeIfFull() {
            guard bytes >= maximumBytes, left > 0 else { return }
            part.to = to - left
            parts.append(part)
            part = InterestUpdate(snapshot: false, from: part.to, to: to)
            bytes = 0
        }
        for flow in removes {
            part.removes.append(flow)
            bytes += 5
            left -= 1
            closeIfFull()
        }
        for entry in adds {
            part.adds.append(entry)
            bytes += entry.approximateBytes
            left -= 1
            closeIfFull()
        }
        parts.append(part)
        return parts
    }
}
