import Foundation
import NIOCore
import NIOPosix

/// Two nats-server processes with a TLS route between them, on ports of their own, for clients with TLS; and two for clients without, since
/// a server takes one kind only.
struct NATSServers: Sendable {
    /// How clients talk to their server. The route has TLS either way.
    enum Clients: String, Sendable, CaseIterable {
        case tls, plain
    }

    /// Client ports of the first and the second server.
    private var ports: [Clients: [Int]] = [:]
    private var children: [Child] = []

    /// Starts them and returns once they take clients. The routes may still be coming up: the programs wait for each other through them.
    init(in laboratory: Laboratory) async throws {
        do {
            for clients in Clients.allCases { try await start(clients, in: laboratory) }
        } catch {
            end()
            throw error
        }
    }

    private mutating func start(_ clients: Clients, in laboratory: Laboratory) async throws {
        let listeners = [try await freePort(), try await freePort()]
        let routes = [try await freePort(), try await freePort()]
        for index in 0..<2 {
            let file = laboratory.directory.appending(path: "nats-\(clients)-\(index + 1).conf")
            let configuration = NATSServers.configuration(
                name: "n\(index + 1)", listener: listeners[index], clients: clients, route: routes[index], other: routes[1 - index],
                certificates: laboratory.certificates(index == 0 ? "a" : "b"))
            try configuration.write(to: file, atomically: true, encoding: .utf8)
            let child = try await Child(NATSServers.command(in: laboratory, configuration: file), errors: nil)
            children.append(child)
            try await child.text("Server is ready")
        }
        ports[clients] = listeners
    }

    /// The first two arguments of every C program: address and certificates. The second server is the one behind the route.
    func arguments(behindRoute: Bool, clients: Clients, in laboratory: Laboratory) -> [String] {
        let port = ports[clients].map { $0[behindRoute ? 1 : 0] } ?? 0
        return switch clients {
        case .tls: ["tls://127.0.0.1:\(port)", laboratory.certificates("c")]
        case .plain: ["nats://127.0.0.1:\(port)", "-"]
        }
    }

    func end() {
        for child in children { child.end() }
    }

    static func command(in laboratory: Laboratory, configuration: URL) -> Command {
        Command(laboratory.directory.appending(path: "venv/bin/nats-server"), ["-c", configuration.path])
    }

    /// Mutual TLS 1.3, no compression (the default on loopback would depend on the round-trip time), nothing else than the defaults.
    static func configuration(name: String, listener: Int, clients: Clients, route: Int, other: Int, certificates: String) -> String {
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
            listen: 127.0.0.1:\(listener)
            \(clients == .tls ? tls : "")
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
