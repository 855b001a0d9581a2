import ArgumentParser
import NIOCore
import NIOTLS

/// `Bench peer tls-echo`: sends back what comes.
struct TLSEchoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tls-echo")
    @Option var certs: String

    func run() async throws {
        let channel = try await BareTLS(certificates: certs).listen { Echo() }
        try await channel.closeFuture.get()
    }
}

/// `Bench peer tls-caller`: 128 bytes there and back, one after the other, without a task in between.
struct TLSCallerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tls-caller")
    @Option var certs: String
    @Option var port: Int
    @Option var warmUp: Int
    @Option var count: Int

    func run() async throws {
        let (warmUp, count) = (warmUp, count)
        let channel = try await BareTLS(certificates: certs).connect(port: port) { Caller(warmUp: warmUp, count: count) }
        try await channel.closeFuture.get()
    }
}

private final class Echo: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }
    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

private final class Caller: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let question = ByteBuffer(repeating: 0x5A, count: Tick.bytes)
    private var warmUp: Int
    private var left: Int
    private var answered = 0
    private var asked: UInt64 = 0
    private var latency = Latency()

    init(warmUp: Int, count: Int) {
        self.warmUp = warmUp
        self.left = count
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent { ask(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        answered += unwrapInboundIn(data).readableBytes
        guard answered >= Tick.bytes else { return }
        answered = 0
        if warmUp > 0 {
            warmUp -= 1
        } else {
            latency.record(monotonic() - asked)
            left -= 1
        }
        if left > 0 {
            ask(context)
        } else {
            Output.say(Line("result", latency.fields))
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func ask(_ context: ChannelHandlerContext) {
        asked = monotonic()
        context.writeAndFlush(wrapOutboundOut(question), promise: nil)
    }
}
