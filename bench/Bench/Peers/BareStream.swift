import ArgumentParser
import NIOCore
import NIOTLS

/// `Bench peer tls-sink`: counts the frames of one connection.
struct TLSSinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tls-sink")
    @Option var certs: String

    func run() async throws {
        let channel = try await BareTLS(certificates: certs).listen { FrameSink() }
        try await channel.closeFuture.get()
    }
}

/// `Bench peer tls-source`: writes frames, gathered into full TLS records, as long as the socket takes them.
struct TLSSourceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tls-source")
    @Option var certs: String
    @Option var port: Int
    @Option var seconds: Double

    func run() async throws {
        let seconds = seconds
        let channel = try await BareTLS(certificates: certs).connect(port: port) { FrameSource(seconds: seconds) }
        try await channel.closeFuture.get()
    }
}

/// Its proof of `@unchecked Sendable`, as for every handler here: made for one channel, it is only touched on that channel's event loop.
private final class FrameSink: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    private var rest: ByteBuffer?
    private var tally = Tally()
    private var first: UInt64 = 0
    private var last: UInt64 = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        if var joined = rest {
            joined.writeBuffer(&buffer)
            buffer = joined
            rest = nil
        }
        while let frame = Frame.read(from: &buffer) {
            guard frame.kind == Frame.Kind.data.rawValue else {
                report()
                context.close(promise: nil)
                return
            }
            if tally.received == 0 { first = monotonic() }
            tally.record(frame.sequence)
        }
        last = monotonic()
        if buffer.readableBytes > 0 { rest = buffer }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        Output.tell("tls-sink: \(error)")
        context.close(promise: nil)
    }

    private func report() {
        Output.say(
            Line(
                "result",
                [
                    "received": "\(tally.received)", "seconds": "\(Double(last - first) / 1e9)", "disordered": "\(tally.disordered)",
                ]))
    }
}

private final class FrameSource: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let seconds: Double
    private var end: UInt64?
    private var sequence: UInt64 = 0
    private var isDone = false

    init(seconds: Double) { self.seconds = seconds }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent {
            end = monotonic() + UInt64(seconds * 1e9)
            fill(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { fill(context) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !isDone { Output.tell("tls-source: \(error)") }
        context.close(promise: nil)
    }

    private func fill(_ context: ChannelHandlerContext) {
        guard let end, !isDone else { return }
        while context.channel.isWritable, !isDone {
            var buffer = context.channel.allocator.buffer(capacity: Frame.perRecord * Frame.bytes)
            for _ in 0..<Frame.perRecord {
                sequence += 1
                Frame.write(.data, sequence, into: &buffer)
            }
            context.write(wrapOutboundOut(buffer), promise: nil)
            if monotonic() >= end { finish(context) }
            context.flush()
        }
    }

    private func finish(_ context: ChannelHandlerContext) {
        isDone = true
        var buffer = context.channel.allocator.buffer(capacity: Frame.bytes)
        Frame.write(.end, sequence, into: &buffer)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        Output.say(Line("result", ["sent": "\(sequence)"]))
    }
}
