package import LLMgineCore
import LLMgineLink
import LLMgineWire
package import NIOCore

extension LinkEndpoint {
    /// Makes a second connection for a link that this node has dialled, with the certificates of today, and moves the link there.
    /// - Returns: once there is a connection. That the link has moved is told to its delegate.
    package func renew(_ link: LinkConnection) throws(LLMgineError) -> EventLoopFuture<Void> {
        try connect(to: HostPort(link.address), on: link.eventLoop, delegate: SuccessorDelegate(), continuing: link)
    }
}

/// Hears of a connection that is to carry a link on. What becomes of it, the link itself tells.
private final class SuccessorDelegate: LinkDelegate {
    func linkEstablished(_ link: LinkConnection, session: LinkSession) {}
    func linkReceived(_ link: LinkConnection, _ data: ReceivedData) throws(LLMgineError) {}
    func linkAnnounced(_ link: LinkConnection, _ head: FragmentFrame.Head) throws(LLMgineError) -> [UInt32] { [] }
    func linkReceived(_ link: LinkConnection, _ frame: Frame, message: Message) throws(LLMgineError) {}
    func linkReceived(_ link: LinkConnection, _ frame: Frame) throws(LLMgineError) {}
    func linkPeerInterest(_ link: LinkConnection, version: UInt64, hash: UInt64) {}
    func linkPeerLeaving(_ link: LinkConnection, deadline: Duration) {}
    func linkInterest(_ link: LinkConnection) -> (version: UInt64, hash: UInt64) { (0, 0) }
    func linkClosed(_ link: LinkConnection, _ closure: LinkClosure, wasEstablished: Bool) {}
}
