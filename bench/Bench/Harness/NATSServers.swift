import Foundation
import NIOCore
import NIOPosix

/// Two nats-server processes with a TLS route between them, on ports of their own.
struct NATSServers: Sendable {
    /// Client addresses of the first and the second server.
    let urls: [String]
    private let children: [Child]

    /// Starts both and returns once they take clients. The route may still be coming up: the programs wait for each other through it.
    init(in laboratory: Laboratory) async throws {
        let clients = [try await freePort(), try await freePort()]
        let routes = [try await freePort(), try await freePort()]
        var children: [Child] = []
        for index in 0..<2 {
            let file = laboratory.directory.appending(path: "nats-\(index + 1).conf")
            let configuration = NATSServers.configuration(
                name: "n\(index + 1)", client: clients[index], route: routes[index], other: routes[1 - index],
                certificates: laboratory.certificates(index == 0 ? "a" : "b"))
            try configuration.write(to: file, atomically: true, encoding: .utf8)
            let child = try await Child(NATSServers.command(in: laboratory, configuration: file), listensToErrors: true)
            children.append(child)
            do {
                try await child.text("Server is ready")
            } catch {
                for child in children { child.end() }
                throw error
            }
        }
        self.children = children
        urls = clients.map { "tls://127.0.0.1:\($0)" }
    }

    func end() {
        for child in children { child.end() }
    }

    static func command(in laboratory: Laboratory, configuration: URL) -> Command {
        Command(laboratory.directory.appending(path: "venv/bin/nats-server"), ["-c", configuration.path])
    }

    /// Mutual TLS 1.3 for clients and route, no compression (the default on loopback would depend on the round-trip time), nothing else
    /// than the defaults.
    static func configuration(name: String, client: Int, route: Int, other: Int, certificates: String) -> String {
        let tls = """
            tls {
              cert_file: "\(certificates)/node.pem"
              key_file: "\(certificates)/node.key"
              ca_file: "\(certificates)/ca.pem"
              verify: true
              min_version: "1.3"
              timeout: 5
            }
            """
        return """
            server_name: \(name)
            listen: 127.0.0.1:\(client)
            \(tls)
            cluster {
              name: bench
              listen: 127.0.0.1:\(route)
              routes: ["nats-route://127.0.0.1:\(other)"]
              compression: off
              \(tls)
            }
            """
    }
}

/// A port that was free a moment ago.
func freePort() async throws -> Int {
    let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
    let port = channel.localAddress?.port
    try await channel.close()
    guard let port else { throw BenchError("no free port on 127.0.0.1") }
    return port
}
