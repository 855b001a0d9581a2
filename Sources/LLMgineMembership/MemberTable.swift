package import struct LLMgineCore.Incarnation
package import struct LLMgineCore.NodeID

/// Who is in the cluster, as far as this node knows.
///
/// Each record has one writer, its node. Merging takes the record with the highest (incarnation, counter), so tables that exchange records
/// agree in the end, in whatever order they meet. Nobody declares anybody dead: that a node cannot be reached is noted here and told to no one.
package struct MemberTable: Sendable {
    package struct Limits: Sendable, Hashable {
        /// Members known at a time, this node and tombstones included. Default 4096.
        package var members: Int
        /// How long a node that left stays as a tombstone. Default 24 h.
        package var tombstone: Duration
        /// How long a node that cannot be reached stays, so that it can come back. Default 24 h.
        package var unreachable: Duration

        package init(members: Int = 4096, tombstone: Duration = .seconds(86_400), unreachable: Duration = .seconds(86_400)) {
            self.members = max(1, members)
            self.tombstone = tombstone
            self.unreachable = unreachable
        }
    }

    /// What a merge changed.
    package enum Change: Sendable, Hashable {
        case learned(NodeID)
        case updated(NodeID)
        /// It left on purpose.
        case left(NodeID)
        /// Somebody held a later record of this life of ours than we wrote, or one of a later life that has left. Ours is the latest now and
        /// should be told.
        case refuted
        /// A later life of this very node is in the cluster: two processes have our identity, and the other one wins. Said once of each life.
        case superseded(by: Incarnation)
    }

    private struct Member: Sendable {
        var record: MemberRecord
        var isLinked: Bool
        /// When it was last linked, or learned of, or left.
        var since: Duration
    }

    package private(set) var own: MemberRecord
    package let limits: Limits
    private var members: [NodeID: Member] = [:]
    /// The latest life that was said to supersede ours.
    private var successor: Incarnation?
    /// Where the next gossip begins when a table is too long for one frame.
    private var cursor = 0

    package init(own: MemberRecord, limits: Limits = Limits()) {
        self.own = own
        self.limits = limits
    }

    /// How many members there are, this node included.
    package var count: Int { members.count + 1 }
    /// The records of the others, by name.
    package var others: [MemberRecord] { members.values.map(\.record).sorted { $0.node < $1.node } }

    package subscript(node: NodeID) -> MemberRecord? { node == own.node ? own : members[node]?.record }

    package func isLinked(_ node: NodeID) -> Bool { members[node]?.isLinked ?? false }

    /// A hash of who is known at which version: two tables with the same digest have nothing to tell each other.
    package var digest: UInt64 { members.values.reduce(MemberTable.hash(own)) { $0 &+ MemberTable.hash($1.record) } }

    /// This node's state changed.
    package mutating func moved(to state: MemberRecord.State) {
        guard own.state != state else { return }
        own.state = state
        own.counter &+= 1
    }

    /// Where this node can be reached became known.
    package mutating func moved(toAddress address: String) {
        guard own.address != address else { return }
        own.address = address
        own.counter &+= 1
    }

    /// A link to the node came up; the handshake told this much.
    package mutating func linked(_ record: MemberRecord, at now: Duration) {
        var record = record
        if let known = members[record.node]?.record, !record.isNewer(than: known) { record = known }
        guard members[record.node] != nil || makeRoom() else { return }
        members[record.node] = Member(record: record, isLinked: true, since: now)
    }

    /// The link to the node is gone.
    package mutating func unlinked(_ node: NodeID, at now: Duration) {
        members[node]?.isLinked = false
        members[node]?.since = now
    }

    /// Records arrived from another node.
    package mutating func merge(_ records: [MemberRecord], at now: Duration) -> [Change] { records.compactMap { merge($0, at: now) } }

    /// Drops tombstones and unreachable members whose time is over.
    package mutating func expire(at now: Duration) {
        members = members.filter { _, member in
            member.isLinked || now - member.since < (member.record.state == .left ? limits.tombstone : limits.unreachable)
        }
    }

    /// The records to tell another node, this node's own first.
    ///
    /// What has been out of reach for half of its time is kept but told no more: else two tables could keep a dead record alive for ever by
    /// telling each other.
    package mutating func gossip(limit: Int = 1024, at now: Duration) -> [MemberRecord] {
        let fresh = members.values.filter { member in
            member.isLinked || now - member.since < (member.record.state == .left ? limits.tombstone : limits.unreachable) / 2
        }.map(\.record).sorted { $0.node < $1.node }
        let room = max(0, limit - 1)
        guard fresh.count > room else { return [own] + fresh }
        let start = cursor % fresh.count
        cursor = start + room
        return [own] + (0..<room).map { fresh[(start + $0) % fresh.count] }
    }

    private mutating func merge(_ record: MemberRecord, at now: Duration) -> Change? {
        if record.node == own.node { return heardOfOurselves(record) }
        guard let known = members[record.node] else {
            guard makeRoom() else { return nil }
            members[record.node] = Member(record: record, isLinked: false, since: now)
            return record.state == .left ? .left(record.node) : .learned(record.node)
        }
        guard record.isNewer(than: known.record) else { return nil }
        members[record.node]?.record = record
        if record.incarnation > known.record.incarnation || record.state == .left { members[record.node]?.since = now }
        return record.state == .left ? .left(record.node) : .updated(record.node)
    }

    /// A statement about an earlier life of ours is history, whatever it says.
    private mutating func heardOfOurselves(_ record: MemberRecord) -> Change? {
        if record.incarnation > own.incarnation { return heardOfSuccessor(record) }
        guard record.incarnation == own.incarnation, record.counter >= own.counter, record != own else { return nil }
        let (next, overflow) = record.counter.addingReportingOverflow(1)
        guard !overflow else { return nil }
        own.counter = next
        return .refuted
    }

    /// Another process had our name. While it lives it wins; one that has left is history, but its tombstone would hide us for as long as it stays.
    private mutating func heardOfSuccessor(_ record: MemberRecord) -> Change? {
        let (next, overflow) = record.incarnation.value.addingReportingOverflow(1)
        if record.state == .left, !overflow {
            own.incarnation = Incarnation(next)
            return .refuted
        }
        if let successor, record.incarnation <= successor { return nil }
        successor = record.incarnation
        return .superseded(by: record.incarnation)
    }

    /// Makes room for one more by dropping the longest-gone tombstone, else the member that was out of reach for longest.
    private mutating func makeRoom() -> Bool {
        guard count >= limits.members else { return true }
        let gone = members.filter { !$0.value.isLinked }
        let victim =
            gone.filter { $0.value.record.state == .left }.min { ($0.value.since, $0.key) < ($1.value.since, $1.key) }
            ?? gone.min { ($0.value.since, $0.key) < ($1.value.since, $1.key) }
        guard let victim else { return false }
        members[victim.key] = nil
        return true
    }

    private static func hash(_ record: MemberRecord) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in record.node.name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        for number in [record.incarnation.value, record.counter] {
            hash = (hash ^ number) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 29
        }
        return hash
    }
}
