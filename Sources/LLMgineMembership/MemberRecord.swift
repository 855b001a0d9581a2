package import struct LLMgineCore.Incarnation
package import struct LLMgineCore.NodeID

/// What a node says of itself and others pass on. Only the node itself writes it.
package struct MemberRecord: Sendable, Hashable {
    package enum State: UInt8, Sendable, Hashable, CaseIterable {
        /// Started, not yet taking part.
        case joining = 0
        case up = 1
        /// Finishes what it has and takes nothing new.
        case leaving = 2
        /// Gone on purpose. Kept as a tombstone, so that older records do not bring it back.
        case left = 3
    }

    package let node: NodeID
    /// The life that wrote it, or a later one: a node goes beyond a life that had its name and left, to be heard again.
    package internal(set) var incarnation: Incarnation
    /// Grows with each change that the node makes to its record. 0 for a record that a peer made from a handshake.
    package var counter: UInt64
    package var state: State
    /// `host:port` at which it accepts links; empty if it accepts none.
    package var address: String
    package var zone: String
    package var roles: [String]
    package var protocolMin: UInt64
    package var protocolMax: UInt64

    package init(
        node: NodeID, incarnation: Incarnation, counter: UInt64 = 1, state: State = .joining, address: String, zone: String = "",
        roles: [String] = [], protocolMin: UInt64 = 1, protocolMax: UInt64 = 1
    ) {
        self.node = node
        self.incarnation = incarnation
        self.counter = counter
        self.state = state
        self.address = address
        self.zone = zone
        self.roles = roles
        self.protocolMin = protocolMin
        self.protocolMax = protocolMax
    }

    /// Whether this record was written later than the other one of the same node.
    package func isNewer(than other: MemberRecord) -> Bool { (incarnation, counter) > (other.incarnation, other.counter) }
}
