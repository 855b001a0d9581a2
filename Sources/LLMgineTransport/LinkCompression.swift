package import NIOCore

/// Whether what goes over a link is compressed, which it is only where both ends want it.
///
/// zlib at its fastest makes JSON and text about a third as long and takes a core for 140 MB a second; on a network that is faster than
/// that, it only costs. It is off unless asked for. Where secrets share a link with what strangers may choose, leave it off: see the page on security.
public enum LinkCompression: String, Sendable, Hashable, CaseIterable, Codable {
    /// On no link.
    case off
    /// On every link.
    case on
    /// On links to peers outside of this machine and its private networks (RFC 1918, RFC 4193 and link-local addresses).
    case auto

    /// Whether to offer it to a peer at this address.
    package func applies(to peer: SocketAddress?) -> Bool {
        switch self {
        case .off: false
        case .on: true
        case .auto: peer.map { !$0.isNear } ?? false
        }
    }
}

extension SocketAddress {
    /// Whether the address is this machine's or belongs to a private network, which is fast until somebody says otherwise.
    package var isNear: Bool {
        guard let address = ipAddress else { return true }  // a socket of this machine
        // An IPv4 address in IPv6 form is written with dots, too.
        if address.contains(".") { return Self.isNear(v4: address.split(separator: ":").last ?? "") }
        guard let first = UInt16(address.prefix { $0 != ":" }, radix: 16) else { return address == "::1" }
        return first & 0xFE00 == 0xFC00 || first & 0xFFC0 == 0xFE80
    }

    private static func isNear(v4 address: Substring) -> Bool {
        let bytes = address.split(separator: ".").compactMap { UInt8($0) }
        guard bytes.count == 4 else { return false }
        return switch (bytes[0], bytes[1]) {
        case (127, _), (10, _), (172, 16...31), (192, 168), (169, 254): true
        default: false
        }
    }
}
