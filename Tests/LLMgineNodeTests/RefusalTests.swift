import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import LLMgineTransport
import Logging
import NIOCore
import NIOPosix
import Testing

/// Keeps log lines, for tests that must see the reason.
struct RecordingLogHandler: LogHandler {
    let lines: Inbox<String>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
        lines.add("\(event.level) \(event.message) \(fields)")
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A node refuses` {
    let cluster: TestCluster
    let lines = Inbox<String>()

    init() throws { cluster = try TestCluster() }

    @Test func `to start where events cannot lie on the disk`() async throws {
        defer { cluster.remove() }
        var configuration = try cluster.configuration("a")
        configuration.spillDirectory = cluster.directory + "/nowhere"
        do {
            _ = try await Node(configuration: configuration)
            Issue.record("it started")
        } catch {
            #expect(error.code == .invalidConfiguration)
            #expect(error.detail.contains("\(cluster.directory)/nowhere: No such file or directory"), "\(error.detail)")
        }
    }

    @Test func `to dial or to be dialled at port 0`() async throws {
        defer { cluster.remove() }
        for (seeds, advertise) in [(["127.0.0.1:0"], "127.0.0.1:1"), ([], "127.0.0.1:0")] as [([String], String)] {
            var configuration = try cluster.configuration("a", seeds: seeds)
            configuration.advertise = advertise
            do {
                _ = try await Node(configuration: configuration)
                Issue.record("it started")
            } catch {
                #expect(error.code == .invalidConfiguration)
                #expect(error.detail == "\"127.0.0.1:0\" cannot be dialled: port 0 is for listening only")
            }
        }
    }

    /// A node whose log the test reads, and one that it is linked with, to see that nothing else is disturbed.
    private func pair() async throws -> [Node] {
        let lines = lines
        let logger = Logger(label: "a") { _ in RecordingLogHandler(lines: lines) }
        let a = try await Node(configuration: try cluster.configuration("a"), logger: logger)
        let b = try await cluster.node("b", seeds: [a.listeningAddress ?? ""])
        try await a.linked(to: 1)
        return [a, b]
    }

    private func firstLine(containing text: String) async -> String {
        var seen = 0
        while true {
            let all = await lines.wait(for: seen + 1)
            if let line = all[seen...].first(where: { $0.contains(text) }) { return line }
            seen = all.count
        }
    }

    private func expectUndisturbed(_ nodes: [Node]) async throws {
        let inbox = Inbox<Int>()
        let subscription = try await nodes[1].bus.subscribe("still.here") { (order: OrderPlaced, _) in inbox.add(order.id) }
        try await subscription.established()
        try await nodes[0].bus.publish(OrderPlaced(id: 1), to: "still.here")
        #expect(await inbox.wait(for: 1) == [1])
        #expect(nodes[0].peers == ["b"])
        for node in nodes { await node.stop() }
        cluster.remove()
    }

    @Test func `a certificate of another authority, and says so at both ends`() async throws {
        let nodes = try await pair()
        let foreign = try TestCluster()
        defer { foreign.remove() }
        let theirLines = Inbox<String>()
        var configuration = try foreign.configuration("x", seeds: [nodes[0].listeningAddress ?? ""])
        configuration.joinTimeout = .milliseconds(1)
        let x = try await Node(configuration: configuration, logger: Logger(label: "x") { _ in RecordingLogHandler(lines: theirLines) })
        let line = await firstLine(containing: "connection refused")
        #expect(line.contains("authority") || line.contains("CA"))
        #expect(x.peers.isEmpty)
        await x.stop()
        #expect(theirLines.items.contains { $0.contains("connection refused") })
        try await expectUndisturbed(nodes)
    }

    @Test(arguments: [
        "PUB orders 5\r\nhello\r\n", "GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}garbage", "\u{0}\u{0}\u{0}\u{4}\u{1}\u{0}\u{0}\u{0}",
    ])
    func `bytes that are not TLS`(text: String) async throws {
        let nodes = try await pair()
        let address = try HostPort(nodes[0].listeningAddress ?? "")
        let channel = try await ClientBootstrap(group: NIOSingletons.posixEventLoopGroup).connect(host: address.host, port: address.port)
            .get()
        try await channel.writeAndFlush(ByteBuffer(string: text + String(repeating: "x", count: 64)))
        #expect(await firstLine(containing: "connection refused").contains("TLS"))
        try await channel.closeFuture.get()  // the node closes it
        try await expectUndisturbed(nodes)
    }

    @Test func `a name that its certificate does not carry`() async throws {
        var configuration = try cluster.configuration("a")
        configuration.name = "b"
        await #expect(throws: LLMgineError(.identityRefused, "")) { try await Node(configuration: configuration) }
        cluster.remove()
    }

    @Test func `a second process with a peer's name`() async throws {
        let nodes = try await pair()
        let address = nodes[0].listeningAddress ?? ""
        // The same certificate, a later life: the newer process takes the place of the older one, which keeps its own other links.
        let newer = try await cluster.node("b", seeds: [address])
        #expect(newer.peers == ["a"])
        for node in [newer] + nodes { await node.stop() }
        cluster.remove()
    }

    @Test func `a port that is taken`() async throws {
        let a = try await cluster.node("a")
        await #expect(throws: LLMgineError(.connectionClosed, "")) { try await cluster.node("b", listen: a.listeningAddress ?? "") }
        await a.stop()
        cluster.remove()
    }
}
