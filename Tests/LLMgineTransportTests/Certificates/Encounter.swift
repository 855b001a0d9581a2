import LLMgineCore
import LLMgineTransport
import NIOCore
import NIOPosix

/// What one end of a connection came to think of the other.
enum Sighting: Hashable, CustomStringConvertible {
    /// The peer was admitted, and a byte of it arrived.
    case admitted(String)
    /// The peer was refused, or refused us.
    case refused(LLMgineError.Code, String)
    /// The connection ended without a word.
    case closed

    var description: String {
        switch self {
        case .admitted(let uri): "admitted \(uri)"
        case .refused(let code, let detail): "refused: \(code) \(detail)"
        case .closed: "closed"
        }
    }
}

/// One TCP connection over loopback, with what each end saw.
struct Encounter {
    var server: Sighting
    var client: Sighting

    typealias Setup = @Sendable (any Channel) throws -> Void

    /// Lets two ends meet. Each setup puts the handlers in that its end needs before the witness.
    static func between(server: @escaping Setup, client: @escaping Setup) async throws -> Encounter {
        let group = MultiThreadedEventLoopGroup.singleton
        let serverSaw = group.next().makePromise(of: Sighting.self)
        let clientSaw = group.next().makePromise(of: Sighting.self)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try server(channel)
                    try channel.pipeline.syncOperations.addHandler(Witness(serverSaw))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let address = listener.localAddress else { throw LLMgineError(.connectionClosed, "the listener has no address") }
        let connection = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try client(channel)
                    try channel.pipeline.syncOperations.addHandler(Witness(clientSaw))
                }
            }
            .connect(to: address).get()
        let encounter = Encounter(server: try await serverSaw.futureResult.get(), client: try await clientSaw.futureResult.get())
        try? await connection.close()
        try await listener.close()
        return encounter
    }
}

/// Says one byte once the peer is admitted, and keeps the first thing that settles the matter.
private final class Witness: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let saw: EventLoopPromise<Sighting>
    private var peer: NodeIdentity?

    init(_ saw: EventLoopPromise<Sighting>) { self.saw = saw }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let admitted = event as? PeerAdmitted {
            peer = admitted.identity
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "!")), promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if let peer { saw.succeed(.admitted(peer.uri)) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? LLMgineError {
            saw.succeed(.refused(error.code, error.detail))
        } else {
            saw.fail(error)
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        saw.succeed(.closed)
        context.fireChannelInactive()
    }
}

/// A peer that speaks no TLS: says its line at once and ignores what comes.
final class PlainSpeaker: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let line: [UInt8]

    init(_ line: [UInt8]) { self.line = line }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: line)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
