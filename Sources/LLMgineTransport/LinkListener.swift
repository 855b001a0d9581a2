package import LLMgineCore
package import LLMgineLink
package import LLMgineWire
package import NIOCore
package import NIOPosix

/// What every connection of a node is made with.
package struct LinkEndpoint: Sendable {
    /// What new connections are secured with.
    package let certificates: CurrentMaterial
    /// Who may come in at its port.
    package var desk = AcceptDesk()
    /// What each new connection says first: the address in it is known only once the port is bound.
    package var hello: @Sendable () -> HelloFrame
    package var settings: LinkSettings
    package var limits: WireLimits
    /// Which links to offer compression on.
    package var compression: LinkCompression
    package var group: MultiThreadedEventLoopGroup

    package init(
        material: TLSMaterial, limits: WireLimits, group: MultiThreadedEventLoopGroup, settings: LinkSettings = LinkSettings(),
        compression: LinkCompression = .off,
        hello: @escaping @Sendable () -> HelloFrame
    ) {
        self.certificates = CurrentMaterial(material)
        self.hello = hello
        self.settings = settings
        self.limits = limits
        self.compression = compression
        self.group = group
    }

    /// Listens for peers. - Throws: `connectionClosed`, naming the address, when it cannot be bound.
    package func listen(on address: HostPort, delegate: any LinkDelegate) async throws(LLMgineError) -> LinkListener {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let ticket = try self.ticket(for: channel, delegate: delegate)
                    try certificates.current.secureServer(channel)
                    try self.addLink(
                        to: channel, role: .acceptor, address: channel.remoteAddress.map(HostPort.describe) ?? "?", delegate: delegate,
                        ticket: ticket)
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: LinkEndpoint.receiveAllocator)
            .childChannelOption(.writeBufferWaterMark, value: LinkEndpoint.waterMark)
        do {
            return LinkListener(channel: try await bootstrap.bind(host: address.host, port: address.port).get())
        } catch {
            throw LLMgineError(listeningOn: address, failed: error)
        }
    }

    /// Dials a peer. What comes of it is told to the delegate.
    /// - Returns: when there is a connection. It fails with `connectionClosed` if there is none; a refusal after that comes as `linkClosed`.
    package func dial(_ address: HostPort, delegate: any LinkDelegate) -> EventLoopFuture<Void> {
        connect(to: address, on: group, delegate: delegate)
    }

    /// Makes the connection of a link with the certificates of today.
    /// - Parameter link: the one that the connection is to carry on, on the group's event loop; nil for a new one.
    func connect(
        to address: HostPort, on group: any EventLoopGroup, delegate: any LinkDelegate, continuing link: LinkConnection? = nil
    ) -> EventLoopFuture<Void> {
        ClientBootstrap(group: group)
            .connectTimeout(.seconds(3))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: LinkEndpoint.receiveAllocator)
            .channelOption(.writeBufferWaterMark, value: LinkEndpoint.waterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try certificates.current.secureClient(channel)
                    try self.addLink(
                        to: channel, role: .dialer, address: address.description, delegate: delegate, continuing: link)
                }
            }
            .connect(host: address.host, port: address.port)
            .map { _ in }
            .flatMapErrorThrowing { throw LLMgineError(connectingTo: address, failed: $0) }
    }

    /// - Throws: if the connection is one too many; the delegate has heard of it then.
    private func ticket(for channel: any Channel, delegate: any LinkDelegate) throws -> AcceptTicket {
        do {
            return try desk.admit(channel)
        } catch let refused as AcceptRefused {
            delegate.connectionRefused(from: refused.address, refused.refusal)
            throw refused
        }
    }

    /// - Parameter link: the link that the connection is to continue, if it is not for a new one.
    func addLink(
        to channel: any Channel, role: LinkRole, address: String, delegate: any LinkDelegate,
        continuing link: LinkConnection? = nil, ticket: AcceptTicket? = nil
    ) throws {
        var hello = self.hello()
        hello.isContinuation = link != nil
        let connection = LinkConnection(role: role, address: address, eventLoop: channel.eventLoop, limits: limits)
        try channel.pipeline.syncOperations.addHandler(
            LinkHandler(
                connection: connection, delegate: delegate, hello: hello, settings: settings, compression: compression, continuing: link
            ) { [desk] in
                if let ticket { desk.identified(ticket) }
            })
    }

    static let receiveAllocator = AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 16 << 10, maximum: 64 << 10)
    /// Little is kept below us, so that what becomes urgent overtakes what is queued.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 512 << 10)
}

/// The port that peers dial.
package final class LinkListener: Sendable {
    private let channel: any Channel

    init(channel: any Channel) { self.channel = channel }

    /// Where it listens, with the port that was really bound.
    package var address: HostPort? { channel.localAddress.flatMap { HostPort(host: $0.ipAddress ?? "", port: $0.port ?? 0) } }

    /// Takes no more connections.
    package func close() async { try? await channel.close() }
}
