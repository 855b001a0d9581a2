package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// The first frame in each direction: who speaks, in which life, and what it can do.
///
/// A later version may append fields, so this one frame may be longer than we know: a node must be able to read the HELLO of a version
/// that it does not speak in order to say so.
package struct HelloFrame: FrameBody {
    /// How the sender takes part.
    package enum Kind: UInt8, Sendable, Hashable {
        /// A member of the mesh.
        case core = 0
        /// A short-lived client of one node, which relays for it.
        case leaf = 1
    }

    /// The versions that the sender speaks.
    package var protocols: ClosedRange<UInt32>
    /// What it can do beyond the base protocol.
    package var features: WireFeatures
    /// The cluster that it belongs to.
    package var cluster: String
    /// Its name, which its certificate must carry.
    package var node: NodeID
    /// The life that it is in.
    package var incarnation: Incarnation
    /// Where it runs; empty if nobody said.
    package var zone: String
    /// What it does, for instance `worker`.
    package var roles: [String]
    /// `host:port` at which others reach it; empty if they cannot.
    package var advertisedAddress: String
    /// How it takes part.
    package var kind: Kind
    /// The largest frame that it takes, in bytes after the length field.
    package var maximumFrame: UInt64
    /// The largest payload that it takes, in bytes.
    package var maximumPayload: UInt64
    /// Its build, for logs only.
    package var build: String
    /// Whether the connection is to continue a link that stands between the same two. A field of its own behind the others, left out where
    /// it says nothing.
    package var isContinuation = false

    /// Says hello, by default with what this build can do.
    package init(
        cluster: String, node: NodeID, incarnation: Incarnation, zone: String = "", roles: [String] = [], advertisedAddress: String = "",
        kind: Kind = .core, limits: WireLimits = WireLimits(), build: String = "", protocols: ClosedRange<UInt32> = WireVersion.supported,
        features: WireFeatures = .supported
    ) {
        self.protocols = protocols
        self.features = features
        self.cluster = cluster
        self.node = node
        self.incarnation = incarnation
        self.zone = zone
        self.roles = roles
        self.advertisedAddress = advertisedAddress
        self.kind = kind
        self.maximumFrame = UInt64(limits.maximumFrame)
        self.maximumPayload = UInt64(limits.maximumPayload)
        self.build = build
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        guard try reader.u32() == WireVersion.magic else { throw .notOurs }
        protocols = try reader.protocols()
        features = WireFeatures(rawValue: try reader.varint())
        cluster = try reader.name()
        node = try reader.node()
        incarnation = Incarnation(try reader.u64())
        zone = try reader.nameOrEmpty()
        roles = try reader.names(maximum: WireLimits.roles)
        advertisedAddress = try reader.text(maximum: WireLimits.addressBytes)
        guard let kind = Kind(rawValue: try reader.u8()) else { throw .invalidValue }
        self.kind = kind
        maximumFrame = try reader.varint()
        maximumPayload = try reader.varint()
        build = try reader.text(maximum: WireLimits.buildBytes)
        isContinuation = reader.rest.readableBytes > 0 ? try reader.u8() == 1 : false
        _ = reader.remainder()
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(WireVersion.magic)
        buffer.writeProtocols(protocols)
        buffer.writeVarint(features.rawValue)
        buffer.writeText(cluster, maximum: WireLimits.nameBytes)
        buffer.writeText(node.name, maximum: WireLimits.nameBytes)
        buffer.writeInteger(incarnation.value)
        buffer.writeText(zone, maximum: WireLimits.nameBytes)
        buffer.writeTexts(roles, maximum: WireLimits.nameBytes)
        buffer.writeText(advertisedAddress, maximum: WireLimits.addressBytes)
        buffer.writeInteger(kind.rawValue)
        buffer.writeVarint(maximumFrame)
        buffer.writeVarint(maximumPayload)
        buffer.writeText(build, maximum: WireLimits.buildBytes)
        if isContinuation { buffer.writeInteger(1, as: UInt8.self) }
    }
}

extension BodyReader {
    /// A range of protocol versions: lowest, highest.
    mutating func protocols() throws(WireFault) -> ClosedRange<UInt32> {
        let lowest = try varint32()
        let highest = try varint32()
        guard lowest <= highest else { throw .invalidValue }
        return lowest...highest
    }
}

extension ByteBuffer {
    mutating func writeProtocols(_ range: ClosedRange<UInt32>) {
        writeVarint(range.lowerBound)
        writeVarint(range.upperBound)
    }
}
