package import struct LLMgineCore.Incarnation
package import struct LLMgineCore.NodeID

/// One connection in the life of this process. The shell numbers them; 0 stands for this node itself.
package struct LinkID: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }

    /// No link: what is local.
    package static let local = LinkID(0)

    package static func < (one: LinkID, other: LinkID) -> Bool { one.value < other.value }
    package var description: String { "link \(value)" }
}

/// What the handshake told of the node at the other end.
package struct PeerInfo: Sendable, Hashable {
    package enum Kind: UInt8, Sendable, Hashable {
        /// Takes part in the mesh.
        case core = 0
        /// Hangs on one core node, its hub, which relays for it.
        case leaf = 1
    }

    package var node: NodeID
    package var incarnation: Incarnation
    package var kind: Kind
    package var roles: [String]
    package var zone: String
    /// `host:port` where it says it accepts links; may be empty.
    package var address: String
    /// The address that we dialled to get this link; nil if the peer dialled.
    package var dialed: String?
    package var protocolMin: UInt64
    package var protocolMax: UInt64

    package init(
        node: NodeID, incarnation: Incarnation, kind: Kind = .core, roles: [String] = [], zone: String = "", address: String,
        dialed: String? = nil, protocolMin: UInt64 = 1, protocolMax: UInt64 = 1
    ) {
        self.node = node
        self.incarnation = incarnation
        self.kind = kind
        self.roles = roles
        self.zone = zone
        self.address = address
        self.dialed = dialed
        self.protocolMin = protocolMin
        self.protocolMax = protocolMax
    }

    package var dialedByUs: Bool { dialed != nil }
    /// Which leaf it is, if it is one.
    package var leaf: LeafID { LeafID(node: node, incarnation: incarnation) }
}

/// Which leaf a link leads to: a name is not enough.
///
/// A leaf is no member: nobody looks for it by its name, and nothing outlives its link. So one certificate may serve any number of command line
/// clients at once, and each process is told apart by when it began.
package struct LeafID: Sendable, Hashable, CustomStringConvertible {
    package let node: NodeID
    package let incarnation: Incarnation

    package init(node: NodeID, incarnation: Incarnation) {
        self.node = node
        self.incarnation = incarnation
    }

    /// `name/incarnation`.
    package var description: String { "\(node)/\(incarnation)" }
}
