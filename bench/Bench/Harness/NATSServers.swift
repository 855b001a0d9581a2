import Foundation
import NIOCore
import NIOPosix

/// Two nats-server processes with a TLS route between them, on ports of their own.
struct NATSServers: Sendable {
    private let ports: [Int]
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
        ports = clients
    }

    /// The first two arguments of every C program: address and certificates. The second server is the one behind the route.
    func arguments(behindRoute: Bool, clients: Clients, in laboratory: Laboratory) -> [String] {
        let address = "127.0.0.1:\(ports[behindRoute ? 1 : 0])"
        return switch clients {
        case .tls: ["tls://\(address)", laboratory.certificates("c")]
        case .plain: ["nats://\(address)", "-"]
        }
    }

    /// How clients talk to their server. The route has TLS either way.
    enum Clients: Sendable {
        case tls, plain
    }

    func end() {
        for child in children { child.end() }
    }

    static func command(in laboratory: Laboratory, configuration: URL) -> Command {
        Command(laboratory.directory.appending(path: "venv/bin/nats-server"), ["-c", configuration.path])
    }

    /// Mutual TLS 1.3 for the route and for those clients that want it, no compression (the default on loopback would depend on the round-trip time), nothing else
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
            allow_non_tls: true
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
