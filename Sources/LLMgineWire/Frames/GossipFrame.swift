package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// What the sender knows of the cluster's members, itself among them.
package struct GossipFrame: FrameBody {
    /// What a member last said of itself.
    package enum State: UInt8, Sendable, Hashable {
        case joining = 0
        case up = 1
        case leaving = 2
        case left = 3
    }

    /// A record that only its node writes; of two, the higher (incarnation, counter) holds.
    package struct Member: Sendable, Hashable {
        /// The node that it is about.
        package var node: NodeID
        /// Its life.
        package var incarnation: Incarnation
        /// How often the record changed in that life.
        package var counter: UInt64
        /// What the node is doing.
        package var state: State
        /// `host:port` at which it is reached; empty if it is not.
        package var address: String
        /// Where it runs; empty if nobody said.
        package var zone: String
        /// What it does.
        package var roles: [String]
        /// The versions that it speaks.
        package var protocols: ClosedRange<UInt32>

        package init(
            node: NodeID, incarnation: Incarnation, counter: UInt64, state: State, address: String, zone: String = "", roles: [String] = [],
            protocols: ClosedRange<UInt32> = WireVersion.supported
        ) {
            self.node = node
            self.incarnation = incarnation
            self.counter = counter
            self.state = state
            self.address = address
            self.zone = zone
            self.roles = roles
            self.protocols = protocols
        }
    }

    /// The records, at most 1,024.
    package var members: [Member]

    package init(members: [Member]) { self.members = members }

    init(reading reader: inout BodyReader) throws(WireFault) {
        members = []
        for _ in 0..<(try reader.count(maximum: WireLimits.gossipRecords, bytesEach: Member.minimumBytes)) {
            members.append(try Member(reading: &reader))
        }
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(members.count)
        for member in members { member.write(into: &buffer) }
    }
}

extension GossipFrame.Member {
    /// A node of one letter, the incarnation, and one byte for every other field.
    static let minimumBytes = 17

    init(reading reader: inout BodyReader) throws(WireFault) {
        node = try reader.node()
        incarnation = Incarnation(try reader.u64())
        counter = try reader.varint()
        guard let state = GossipFrame.State(rawValue: try reader.u8()) else { throw .invalidValue }
        self.state = state
        address = try reader.text(maximum: WireLimits.addressBytes)
        zone = try reader.nameOrEmpty()
        roles = try reader.names(maximum: WireLimits.roles)
        protocols = try reader.protocols()
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeText(node.name, maximum: WireLimits.nameBytes)
        buffer.writeInteger(incarnation.value)
        buffer.writeVarint(counter)
        buffer.writeInteger(state.rawValue)
        buffer.writeText(address, maximum: WireLimits.addressBytes)
        buffer.writeText(zone, maximum: WireLimits.nameBytes)
        buffer.writeTexts(roles, maximum: WireLimits.nameBytes)
        buffer.writeProtocols(protocols)
    }
}
