import LLMgineCore
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension LLMgineError {
    /// Why there is no connection to an address, in the words of whoever has to mend it.
    init(connectingTo address: HostPort, failed error: any Error) {
        self.init(.connectionClosed, "cannot connect to \(address): \(LLMgineError.reason(error))", cause: error)
    }

    /// Why an address cannot be listened on.
    init(listeningOn address: HostPort, failed error: any Error) {
        self.init(.connectionClosed, "cannot listen on \(address): \(LLMgineError.reason(error))", cause: error)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            // Several addresses of one name fail for the same reason more often than not: the last says it.
            guard let last = error.connectionErrors.last else { return "the name is not known" }
            return reason(last.error)
        case let error as IOError where error.errnoCode == ECONNREFUSED: return "connection refused, nobody listens there"
        case let error as IOError where error.errnoCode == EHOSTUNREACH || error.errnoCode == ENETUNREACH: return "no route to the host"
        case let error as IOError where error.errnoCode == EADDRINUSE: return "the port is taken by another process"
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL: return "the address is none of this machine"
        case let error as IOError where error.errnoCode == EACCES: return "not allowed"
        case ChannelError.connectTimeout: return "no answer in time"
        default: return "\(error)".printable
        }
    }
}
