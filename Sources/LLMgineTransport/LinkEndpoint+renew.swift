package import LLMgineCore
import LLMgineLink
import LLMgineWire
package import NIOCore
import NIOPosix

extension LinkEndpoint {
    /// Makes a second connection for a link that this node has dialled, with the certificates of today, and moves the link there.
    /// - Returns: once there is a connection. That the link has moved is told to its delegate.
    package func renew(_ link: LinkConnection) throws(LLMgineError) -> EventLoopFuture<Void> {
        let address = try HostPort(link.address)
        return ClientBootstrap(group: link.eventLoop)
            .connectTimeout(.seconds(3))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: LinkEndpoint.receiveAllocator)
            .channelOption(.writeBufferWaterMark, value: LinkEndpoint.waterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try certificates.current.secureClient(channel)
                    try self.addLink(
                        to: channel, role: .dialer, address: link.address, delegate: SuccessorDelegate(), continuing: link)
                }
            }
            .connect(host: address.host, port: address.port)
            .map { _ in }
            .flatMapErrorThrowing { throw LLMgineError(connectingTo: address, failed: $0) }
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
