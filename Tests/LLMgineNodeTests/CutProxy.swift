import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import NIOCore
import NIOPosix
import Synchronization

/// A TCP relay on loopback that a test can cut: what is on the way is lost, as in a network.
final class CutProxy: Sendable {
    private let upstream: Mutex<(host: String, port: Int)?>
    private let channels = Mutex<[any Channel]>([])
    private let isOpen = Atomic<Bool>(true)
    private let server: Mutex<(any Channel)?>

    /// Listens on a free port.
    init() async throws {
        upstream = Mutex(nil)
        server = Mutex(nil)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 16)
            .childChannelInitializer { [weak self] inbound in
                guard let self else { return inbound.close() }
                return connect(inbound)
            }
            .bind(host: "127.0.0.1", port: 0).get()
        server.withLock { $0 = channel }
    }

    /// Where it listens.
    var address: String { "127.0.0.1:\(server.withLock { $0?.localAddress?.port ?? 0 })" }

    /// Where it leads.
    func lead(to address: String) throws {
        let parts = address.split(separator: ":")
        upstream.withLock { $0 = (String(parts[0]), Int(parts[1]) ?? 0) }
    }

    /// Breaks all connections. New ones are taken.
    func cut() {
        let open = channels.withLock { channels in
            defer { channels = [] }
            return channels
        }
        for channel in open { channel.close(promise: nil) }
    }

    /// Breaks all connections, and refuses new ones until ``restore()``.
    func partition() {
        isOpen.store(false, ordering: .sequentiallyConsistent)
        cut()
    }

    /// Lets nothing through any more and loses nothing, until ``thaw()``: the ends stay connected and hear nothing of each other.
    func freeze() async throws { try await read(false) }
    func thaw() async throws { try await read(true) }

    private func read(_ isReading: Bool) async throws {
        for channel in channels.withLock({ $0 }) { try await channel.setOption(.autoRead, value: isReading).get() }
    }

    func restore() { isOpen.store(true, ordering: .sequentiallyConsistent) }

    func close() async {
        partition()
        try? await server.withLock { $0 }?.close().get()
    }

    private func connect(_ inbound: any Channel) -> EventLoopFuture<Void> {
        guard isOpen.load(ordering: .sequentiallyConsistent), let upstream = upstream.withLock({ $0 }) else { return inbound.close() }
        return ClientBootstrap(group: inbound.eventLoop)
            .connect(host: upstream.host, port: upstream.port)
            .flatMap { [self] outbound in
                channels.withLock { $0 += [inbound, outbound] }
                do {
                    try inbound.pipeline.syncOperations.addHandler(Pipe(to: outbound))
                    try outbound.pipeline.syncOperations.addHandler(Pipe(to: inbound))
                } catch {
                    return inbound.eventLoop.makeFailedFuture(error)
                }
                return inbound.eventLoop.makeSucceededVoidFuture()
            }
    }
}

/// Gives what one end says to the other.
private final class Pipe: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let other: any Channel

    init(to other: any Channel) { self.other = other }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        other.writeAndFlush(Self.unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

extension CutProxy {
    /// Two nodes whose only link goes through the proxy: `b` dials `a`, and nobody can dial `b`.
    func pair(of cluster: TestCluster) async throws -> (a: Node, b: Node) {
        var behind = try cluster.configuration("a")
        behind.advertise = address
        let a = try await Node(configuration: behind)
        try lead(to: a.listeningAddress ?? "")
        var before = try cluster.configuration("b", seeds: [address])
        before.listen = nil
        let b = try await Node(configuration: before)
        for node in [a, b] { try await node.linked(to: 1) }
        return (a, b)
    }
}
