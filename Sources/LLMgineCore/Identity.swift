/// The name of a node, unique in its cluster and carried by its certificate as `llmgine://<cluster>/<node>`.
///
/// 1 to 63 of the characters `a-z A-Z 0-9 - _ .`, starting with a letter or digit, so that it is safe in a URI, a file name and a topic token
/// alike (a dot becomes a token boundary there).
public struct NodeID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The name.
    public let name: String

    /// Takes a name. - Throws: `invalidArgument` if it breaks the rule above.
    public init(_ name: String) throws(LLMgineError) {
        guard NodeID.isValid(name) else {
            throw LLMgineError(
                .invalidArgument, "node name \"\(name.printable)\": use 1 to 63 of a-z A-Z 0-9 - _ . and start with a letter or digit")
        }
        self.name = name
    }

    /// Whether the text may name a node, a cluster, a zone or a role.
    package static func isValid(_ text: String) -> Bool {
        let bytes = text.utf8.span
        guard (1...63).contains(bytes.count) else { return false }
        for index in bytes.indices {
            switch bytes[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                continue
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): if index == 0 { return false }
            default: return false
            }
        }
        return true
    }

    /// Orders nodes by name: the rule that picks the winner of two mutual dials.
    public static func < (one: NodeID, other: NodeID) -> Bool { one.name < other.name }
    /// The name.
    public var description: String { name }
}

extension NodeID: ExpressibleByStringLiteral {
    /// Takes a name written in the program's own source. - Precondition: it is a node name.
    public init(stringLiteral value: String) {
        precondition(NodeID.isValid(value), "\"\(value)\" cannot name a node")
        self.name = value
    }
}

extension NodeID: Codable {
    /// Decodes from a single string. - Throws: `invalidArgument` for text that cannot name a node.
    public init(from decoder: any Decoder) throws { try self.init(try decoder.singleValueContainer().decode(String.self)) }
    /// Encodes as a single string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}

/// Which life of a node this is: higher is later. A restart must take a higher one, so it is the wall clock in microseconds at the start.
public struct Incarnation: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// Microseconds since 1970 at which the node started, or any number that grew since its last life.
    public let value: UInt64
    /// Wraps a number.
    public init(_ value: UInt64) { self.value = value }
    /// Orders lives by number.
    public static func < (one: Incarnation, other: Incarnation) -> Bool { one.value < other.value }
    /// The number in base 36.
    public var description: String { String(value, radix: 36) }
}

/// Names one published message without randomness: which node, in which life, and its how many-th message.
public struct MessageID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The node that the message was published on.
    public let node: NodeID
    /// The life of that node.
    public let incarnation: Incarnation
    /// 1 for the first message of that life.
    public let sequence: UInt64

    /// Puts an identity together.
    public init(node: NodeID, incarnation: Incarnation, sequence: UInt64) {
        self.node = node
        self.incarnation = incarnation
        self.sequence = sequence
    }

    /// Sorts by node, then life, then number: within one node, the order of publishing.
    public static func < (one: MessageID, other: MessageID) -> Bool {
        (one.node, one.incarnation, one.sequence) < (other.node, other.incarnation, other.sequence)
    }

    /// `node/incarnation/sequence`, for example `a/hx3k2p9q1/17`.
    public var description: String { "\(node)/\(incarnation)/\(sequence)" }
}

/// Names a session: a scope whose handlers see only its own events and vanish with it.
public struct SessionID: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral, Codable {
    /// The name. Any text up to 128 bytes.
    public let name: String
    /// Wraps a name.
    public init(_ name: String) { self.name = name }
    /// Wraps a name written in the source.
    public init(stringLiteral value: String) { self.name = value }
    /// The scope of everything that belongs to no session; its handlers see all sessions.
    public static var bus: SessionID { SessionID("BUS") }  // no more than two words: cheaper than looking a constant up
    /// The most bytes a session name may have on the wire.
    package static let maximumBytes = 128
    /// The name.
    public var description: String { name }
}
