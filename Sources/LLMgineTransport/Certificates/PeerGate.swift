import LLMgineCore
package import NIOCore
import NIOSSL
import NIOTLS

/// Stands behind the TLS handler and lets nothing pass before the peer's identity is known.
///
/// Downstream sees the event ``PeerAdmitted`` and then bytes, or one `LLMgineError` that says why the peer was refused and then the
/// end of the channel. In TLS 1.3 a client is done before the server has looked at its certificate, so a refusal may also come after
/// the admission: it arrives as an error like any other.
package final class PeerGate: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    /// How long a handshake may take before the connection is closed.
    package static let handshakeLimit: TimeAmount = .seconds(3)

    private enum State {
        case handshaking(Scheduled<Void>?)
        case admitted
        case refused
    }

    private let material: TLSMaterial
    private let handshakeLimit: TimeAmount
    private var state = State.handshaking(nil)

    package init(material: TLSMaterial, handshakeLimit: TimeAmount) {
        self.material = material
        self.handshakeLimit = handshakeLimit
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        let gate = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        state = .handshaking(
            context.eventLoop.scheduleTask(in: handshakeLimit) {
                let (gate, context) = gate.value
                gate.refuse(LLMgineError(.tlsFailure, TLSFailure.timedOut.description), context: context)
            })
    }

    package func handlerRemoved(context: ChannelHandlerContext) { stopWaiting() }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent, case .handshaking = state else {
            return context.fireUserInboundEventTriggered(event)
        }
        do {
            let handler = try context.pipeline.syncOperations.handler(type: NIOSSLHandler.self)
            let (identity, roles, expires) = try material.peer(of: handler, negotiated: negotiated)
            stopWaiting()
            state = .admitted
            context.fireUserInboundEventTriggered(event)
            context.fireUserInboundEventTriggered(
                PeerAdmitted(
                    identity: identity, roles: roles, credentials: LinkCredentials(material: material.serial, peerExpires: expires)))
        } catch {
            refuse(error as? LLMgineError ?? LLMgineError(.tlsFailure, "the connection has no TLS", cause: error), context: context)
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What a refused peer sent with its last flight is nobody's business any more.
        if case .admitted = state { context.fireChannelRead(data) }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let certificate = try? context.pipeline.syncOperations.handler(type: NIOSSLHandler.self).peerCertificate
        guard let failure = TLSFailure(error, certificate: certificate, material: material) else {
            return context.fireErrorCaught(error)
        }
        if case .admitted = state, error as? NIOSSLError == .uncleanShutdown {
            return context.fireErrorCaught(LLMgineError(.connectionClosed, "the connection broke off", cause: error))
        }
        refuse(LLMgineError(.tlsFailure, failure.description, cause: error), context: context)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        if case .handshaking = state {
            refuse(LLMgineError(.tlsFailure, TLSFailure.closedDuringHandshake.description), context: context)
        }
        context.fireChannelInactive()
    }

    /// Says why, once, and closes.
    private func refuse(_ error: LLMgineError, context: ChannelHandlerContext) {
        if case .refused = state { return }
        stopWaiting()
        state = .refused
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    private func stopWaiting() {
        if case .handshaking(let limit) = state { limit?.cancel() }
    }
}

/// The event that a ``PeerGate`` fires when it knows who the peer is.
package struct PeerAdmitted: Sendable {
    /// Who the verified certificate says the peer is.
    package let identity: NodeIdentity
    /// The roles that it carries.
    package let roles: [String]
    /// What the two ends have shown each other.
    package let credentials: LinkCredentials
}
