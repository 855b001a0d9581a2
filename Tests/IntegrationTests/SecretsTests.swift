import Foundation
import LLMgineCore
import LLMgineTestKit
import NIOCore
import NIOPosix
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct `Secrets in the environment of a node` {
    private static let key = "sk-find-me-1"
    private static let token = "find-me-2"

    @Test func `are in no log line, no span, no answer and no output`() async throws {
        let machine = try await Machine(nodes: "a", "cli")
        let collector = try await PlainCollector()
        let environment = [
            "OPENAI_API_KEY": Self.key, "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20\(Self.token)", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        ]
        let settings = ["node.roles=worker", "telemetry.console=true", "log.level=trace"]
        let a = try await machine.node("a", environment: environment, settings)
        let client = ["--connect", a.address, "--certs", machine.path("cli")]
        var told: [String] = []
        for command in [
            ["generate", "--json", "--model", "openai/gpt", "--timeout", "2s", "hello"], ["generate", "hello"], ["nodes", "--json"],
            ["top", "--json", "--once", "--interval", "100ms"], ["dlq", "list", "--json"],
        ] {
            let finished = try await machine.run(command + client)
            #expect(!finished.output.isEmpty || !finished.errors.isEmpty)
            told += finished.output + finished.errors
        }
        let check = try await machine.run(
            ["node", "--check", "--set", "certificates.directory=\(machine.path("a"))"], environment: environment)
        #expect(check.ending == .code(0))
        a.child.endInput()
        #expect(await a.child.exit() == .code(0))
        told += check.output + check.errors
        told += await a.child.all(.output)
        told += await a.child.all(.error)
        for line in told { #expect(!line.contains("find-me"), "\(line)") }
        // The token is for the collector, in the head of each request; the key is not.
        let exported = await collector.close()
        #expect(exported.contains("gen_ai") && exported.contains(Self.token))
        #expect(!exported.contains(Self.key))
    }
}

/// Takes whatever is sent to it over HTTP, and says that it is well.
private final class PlainCollector: Sendable {
    private let received = Received()
    private let server: any Channel

    init() async throws {
        server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { [received] channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Answering(received)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var address: String { "http://127.0.0.1:\(server.localAddress?.port ?? 0)" }

    /// - Returns: all that came, as far as it is text.
    func close() async -> String {
        try? await server.close()
        return received.text
    }
}

private final class Received: Sendable {
    private let bytes = Mutex(ByteBuffer())

    func add(_ read: ByteBuffer) { _ = bytes.withLock { $0.writeImmutableBuffer(read) } }
    var text: String { bytes.withLock { String(decoding: $0.readableBytesView, as: UTF8.self) } }
}

/// Answers each request once all of it is there, by its Content-Length.
private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let received: Received
    private var request = ByteBuffer()

    init(_ received: Received) { self.received = received }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let read = Self.unwrapInboundIn(data)
        received.add(read)
        request.writeImmutableBuffer(read)
        guard let length = wholeLength, request.readableBytes >= length else { return }
        request.moveReaderIndex(forwardBy: length)
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), promise: nil)
    }

    /// Head and body, nil while the head is not whole.
    private var wholeLength: Int? {
        let text = String(decoding: request.readableBytesView, as: UTF8.self)
        guard let head = text.range(of: "\r\n\r\n").map({ text[..<$0.lowerBound] }) else { return nil }
        let lines = head.components(separatedBy: "\r\n")
        let length = lines.first { $0.lowercased().hasPrefix("content-length:") }?.split(separator: ":").last
        return head.utf8.count + 4 + (length.flatMap { Int($0.trimmingCharacters(in: .whitespaces)) } ?? 0)
    }
}
