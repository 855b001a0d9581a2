package import struct FoundationEssentials.Date

/// What the two ends of a connection have shown each other.
package struct LinkCredentials: Sendable, Hashable {
    /// The serial number, in this process, of the material that this node showed.
    package var material: UInt64 = 0
    /// When the peer's certificate ends; nil before the handshake.
    package var peerExpires: Date?

    package init(material: UInt64 = 0, peerExpires: Date? = nil) {
        self.material = material
        self.peerExpires = peerExpires
    }
}
