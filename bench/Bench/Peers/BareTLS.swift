import NIOCore
import NIOPosix
import NIOSSL

/// One TLS 1.3 connection with certificates on both sides and one event loop, nothing else: the limit that a link is compared with.
struct BareTLS: Sendable {
    private let server: NIOSSLContext
    private let client: NIOSSLContext

    /// Reads `ca.pem`, `node.pem` and `node.key` of a directory.
    init(certificates directory: String) throws {
        let chain = try NIOSSLCertificate.fromPEMFile("\(directory)/node.pem").map { NIOSSLCertificateSource.certificate($0) }
        let key = NIOSSLPrivateKeySource.privateKey(try NIOSSLPrivateKey(file: "\(directory)/node.key", format: .pem))
        let roots = NIOSSLTrustRoots.file("\(directory)/ca.pem")

        var server = TLSConfiguration.makeServerConfigurationWithMTLS(certificateChain: chain, privateKey: key, trustRoots: roots)
        server.minimumTLSVersion = .tlsv13
        self.server = try NIOSSLContext(configuration: server)

        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = chain
        client.privateKey = key
        client.trustRoots = roots
        client.minimumTLSVersion = .tlsv13
        self.client = try NIOSSLContext(configuration: client)
    }

    /// Takes one connection after another and says on which port.
    func listen(_ handler: @escaping @Sendable () -> any ChannelHandler & Sendable) async throws -> any Channel {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [server] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(NIOSSLServerHandler(context: server), handler())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = channel.localAddress?.port else { throw BenchError("no port") }
        Output.say(Line("ready", ["port": "\(port)"]))
        return channel
    }

    func connect(port: Int, _ handler: @escaping @Sendable () -> any ChannelHandler & Sendable) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: .init(low: 128 * 1024, high: 512 * 1024))
            .channelInitializer { [client] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        try NIOSSLClientHandler(context: client, serverHostname: "localhost"), handler())
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }
}
