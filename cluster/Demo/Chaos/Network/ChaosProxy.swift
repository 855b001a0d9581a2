import LLMgine
import NIOCore
import NIOPosix
import Synchronization

/// Stands in front of one node's port, so that its links can be cut, stalled and restored without asking the system for anything.
final class ChaosProxy: Sendable {
    private struct State {
        var pairs: [Int: (inbound: any Channel, outbound: any Channel)] = [:]
        var next = 0
        var isStalled = false
        var isRefusing = false
        var server: (any Channel)?
    }

    /// Where others reach the node.
    let port: Int
    private let target: Int
    private let state: Mutex<State>

    /// - Parameter target: the port that the node listens on.
    init(target: Int) async throws {
        self.target = target
        let box = ProxyBox()
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { inbound in
                inbound.eventLoop.makeCompletedFuture { try inbound.pipeline.syncOperations.addHandler(Front(box)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = server.localAddress?.port ?? 0
        state = Mutex(State(server: server))
        box.proxy.withLock { $0 = self }
    }

    /// Knows the proxy once it is made.
    fileprivate final class ProxyBox: Sendable {
        let proxy = Mutex<ChaosProxy?>(nil)
        func accept(_ inbound: any Channel) {
            guard let proxy = proxy.withLock({ $0 }) else { return inbound.close(promise: nil) }
            proxy.accept(inbound)
        }
    }

    private func accept(_ inbound: any Channel) {
        guard !state.withLock({ $0.isRefusing }) else { return inbound.close(promise: nil) }
        ClientBootstrap(group: inbound.eventLoop)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: target)
            .flatMapThrowing { [self] outbound in
                try inbound.pipeline.syncOperations.addHandler(Glue(to: outbound))
                try outbound.pipeline.syncOperations.addHandler(Glue(to: inbound))
                let (id, isStalled) = state.withLock { state in
                    state.next += 1
                    state.pairs[state.next] = (inbound, outbound)
                    return (state.next, state.isStalled)
                }
                inbound.closeFuture.whenComplete { _ in self.state.withLock { $0.pairs[id] = nil } }
                for channel in [inbound, outbound] { ChaosProxy.flow(channel, !isStalled) }
            }
            .whenFailure { _ in inbound.close(promise: nil) }
    }

    /// Opened, a channel reads by itself what has come meanwhile.
    private static func flow(_ channel: any Channel, _ isOpen: Bool) {
        channel.setOption(.autoRead, value: isOpen).whenFailure { _ in }  // it is closed: nothing flows there
    }

    /// Resets the connections of the moment. - Returns: how many.
    @discardableResult
    func cut() -> Int {
        let pairs = state.withLock { Array($0.pairs.values) }
        for pair in pairs {
            pair.inbound.close(promise: nil)
            pair.outbound.close(promise: nil)
        }
        return pairs.count
    }

    /// Nothing gets through, and nobody is told.
    func stall() { flow(false) }

    /// Lets no new connection through.
    func refuse() { state.withLock { $0.isRefusing = true } }

    /// All is as it was.
    func restore() {
        state.withLock { $0.isRefusing = false }
        flow(true)
    }

    private func flow(_ isOpen: Bool) {
        let pairs = state.withLock { state in
            state.isStalled = !isOpen
            return Array(state.pairs.values)
        }
        for pair in pairs {
            ChaosProxy.flow(pair.inbound, isOpen)
            ChaosProxy.flow(pair.outbound, isOpen)
        }
    }

    func close() async {
        state.withLock { $0.isRefusing = true }
        cut()
        let server = state.withLock { $0.server }
        try? await server?.close()
    }
}

/// Looks for the other side once a connection is there.
private final class Front: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let box: ChaosProxy.ProxyBox

    init(_ box: ChaosProxy.ProxyBox) { self.box = box }

    func channelActive(context: ChannelHandlerContext) {
        box.accept(context.channel)
        context.fireChannelActive()
    }
}

/// Writes to the other side what one side reads.
private final class Glue: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel

    init(to other: any Channel) { self.other = other }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { other.writeAndFlush(Self.unwrapInboundIn(data), promise: nil) }
    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
