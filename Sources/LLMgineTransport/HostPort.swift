package import LLMgineCore
import NIOCore

/// A host and a port, as in `10.0.0.1:7400`, `[::1]:7400` or `node-a.internal:7400`.
package struct HostPort: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address, without brackets.
    package let host: String
    /// 0 lets the system choose, for listening only.
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`. - Throws: `invalidArgument`, saying what was expected.
    package init(_ text: String) throws(LLMgineError) {
        // `UInt16` would take a sign as well.
        guard let colon = text.lastIndex(of: ":"), case let digits = text[text.index(after: colon)...],
            digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let port = UInt16(digits)
        else {
            throw LLMgineError(.invalidArgument, "\"\(text.printable)\" is not an address: expected host:port, as in 10.0.0.1:7400")
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw LLMgineError(.invalidArgument, "\"\(text.printable)\" is not an address: an IPv6 host goes in brackets, as in [::1]:7400")
        }
        guard (1...253).contains(host.utf8.count), host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") }) else {
            throw LLMgineError(.invalidArgument, "\"\(text.printable)\" is not an address: the host is missing, too long or no name")
        }
        self.init(host: String(host), port: Int(port))
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether others can dial it: port 0 is for listening only.
    package var isDialable: Bool { port != 0 }

    /// Whether it stands for all addresses of the machine.
    package var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    static func describe(_ address: SocketAddress) -> String {
        HostPort(host: address.ipAddress ?? address.pathname ?? "?", port: address.port ?? 0).description
    }
}
