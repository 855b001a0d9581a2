import LLMgineCore
import LLMgineTransport
import LLMgineWire
import NIOCore
import NIOPosix

/// A peer with a certificate that says what a test tells it, and keeps what comes. It never answers a PING.
final class Rogue: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let opening: ByteBuffer
    private let next: ByteBuffer
    private let heard: EventLoopPromise<[Frame]>
    private var frames: [Frame] = []
    private var decoder = FrameDecoder(maximumFrame: WireLimits().maximumFrame)

    /// Says the first when it is admitted, and the second when it has read a HELLO.
    private init(opening: ByteBuffer, next: ByteBuffer, heard: EventLoopPromise<[Frame]>) {
        self.opening = opening
        self.next = next
        self.heard = heard
    }

    /// Dials a node. - Returns: what it said up to the end of the connection.
    static func dial(
        _ address: HostPort, opening: ByteBuffer, next: ByteBuffer = ByteBuffer(),
        securing: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> EventLoopFuture<[Frame]> {
        try await connect(address, opening: opening, next: next, securing: securing).heard
    }

    /// The same. - Returns: also the connection, to write more to it or to stop reading.
    static func connect(
        _ address: HostPort, opening: ByteBuffer, next: ByteBuffer = ByteBuffer(),
        securing: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> (channel: any Channel, heard: EventLoopFuture<[Frame]>) {
        let group = MultiThreadedEventLoopGroup.singleton
        let heard = group.next().makePromise(of: [Frame].self)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try securing(channel)
                    try channel.pipeline.syncOperations.addHandler(Rogue(opening: opening, next: next, heard: heard))
                }
            }
            .connect(host: address.host, port: address.port).get()
        return (channel, heard.futureResult)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is PeerAdmitted { context.writeAndFlush(Self.wrapOutboundOut(opening), promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        decoder.append(Self.unwrapInboundIn(data))
        while let frame = try? decoder.next() {
            frames.append(frame)
            if case .hello = frame { context.writeAndFlush(Self.wrapOutboundOut(next), promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        heard.succeed(frames)
        context.fireChannelInactive()
    }
}

extension ByteBuffer {
    static func of(_ frames: Frame...) -> ByteBuffer {
        var buffer = ByteBuffer()
        for frame in frames { frame.write(into: &buffer) }
        return buffer
    }
}

extension [Frame] {
    /// The code and detail of the GOODBYE or REJECT that ended it.
    var farewell: (code: UInt64, detail: String)? {
        switch last {
        case .goodbye(let goodbye): (goodbye.code, goodbye.detail)
        case .reject(let reject): (reject.code, reject.detail)
        default: nil
        }
    }
}
