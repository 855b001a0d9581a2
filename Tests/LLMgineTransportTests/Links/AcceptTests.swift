import LLMgineCore
import LLMgineLink
import LLMgineTransport
import LLMgineWire
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A port with strangers at the door` {
    let around: Neighbourhood

    init() throws { around = try Neighbourhood() }

    @Test func `closes the one too many before it reads a byte, and serves its peers on`() async throws {
        var a = try around.station("a")
        var limits = AcceptGate.Limits()
        limits.pending = 3
        a.endpoint.desk = AcceptDesk(limits)
        let b = try around.station("b")
        let link = try await around.link(a, b)
        let address = try #require(link.listener.address)
        var strangers: [any Channel] = []
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        for _ in 0..<3 { strangers.append(try await bootstrap.connect(host: address.host, port: address.port).get()) }
        while a.endpoint.desk.counts.pending < 3 { await Task.yield() }
        let turned = try await bootstrap.connect(host: address.host, port: address.port).get()
        try await turned.closeFuture.get()
        #expect(a.endpoint.desk.counts == (3, 4))
        link.b.send(.cancel(.init(request: 1)))
        let _: Bool = await a.delegate.first { if case .frame = $0 { true } else { nil } }
        for stranger in strangers { try await stranger.close() }
        while a.endpoint.desk.counts != (0, 1) { await Task.yield() }
        link.b.close(.shuttingDown)
        while a.endpoint.desk.counts != (0, 0) { await Task.yield() }
    }
}
