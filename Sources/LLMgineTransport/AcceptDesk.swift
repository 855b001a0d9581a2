import LLMgineCore
package import LLMgineLink
import NIOCore
import Synchronization

/// The gate of one port, as its connections use it.
package final class AcceptDesk: Sendable {
    private let gate: Mutex<AcceptGate>

    package init(_ limits: AcceptGate.Limits = AcceptGate.Limits()) { gate = Mutex(AcceptGate(limits)) }

    /// Connections whose peer is not known yet, and all.
    package var counts: (pending: Int, total: Int) { gate.withLock { ($0.pending, $0.total) } }

    /// Lets a connection in, and sees it out. - Throws: the refusal, before TLS has begun.
    func admit(_ channel: any Channel) throws -> AcceptTicket {
        let now = Duration.nanoseconds(Int64(clamping: NIODeadline.now().uptimeNanoseconds))
        // Without the port: every connection has another.
        let address = channel.remoteAddress?.ipAddress ?? "?"
        if let refusal = gate.withLock({ $0.arrived(from: address, at: now) }) { throw AcceptRefused(refusal: refusal, address: address) }
        let ticket = AcceptTicket()
        channel.closeFuture.whenComplete { [self] _ in
            let wasIdentified = ticket.close()
            gate.withLock { $0.left(wasIdentified: wasIdentified) }
        }
        return ticket
    }

    /// Who is at the other end is known.
    func identified(_ ticket: AcceptTicket) {
        if ticket.identify() { gate.withLock { $0.identified() } }
    }
}

/// A connection was closed before anything of it was read.
struct AcceptRefused: Error {
    let refusal: AcceptGate.Refusal
    let address: String
}

/// What the gate knows of one connection.
final class AcceptTicket: Sendable {
    private enum Stage: UInt8, AtomicRepresentable {
        case pending, identified, closed
    }

    private let stage = Atomic<Stage>(.pending)

    /// True the first time, unless the connection is gone.
    func identify() -> Bool { stage.compareExchange(expected: .pending, desired: .identified, ordering: .acquiringAndReleasing).exchanged }
    /// Whether it was identified.
    func close() -> Bool { stage.exchange(.closed, ordering: .acquiringAndReleasing) == .identified }
}
