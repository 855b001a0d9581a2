import Foundation

/// P14: from the start of a process to its first event, and to its first event from a cluster that it joins.
struct StartUp: Figure {
    static let id = "P14"
    static let title = "process start to first event; a third node joining"
    static let needsNATS = true

    /// Milliseconds.
    static let limits = (first: 100.0, join: 500.0)

    func measure(in laboratory: Laboratory) async throws -> Report {
        let contenders: [Contender] = [
            .ours { try await firstEvent(laboratory) }, .ours("llmgine, joining") { try await joining(laboratory) },
        ]
        let nats: [Contender] = [.peer("nats-server ready") { try await natsReady(laboratory) }]
        let measured = await laboratory.alternate(laboratory.available(contenders, nats: nats))
        let first = measured["llmgine"]?.median("ms")
        let join = measured["llmgine, joining"]?.median("ms")
        return Report(
            StartUp.self, unit: "ms", ours: first, peers: measured.peers("ms"),
            conditions: [
                .init("first event, over \(Int(StartUp.limits.first)) ms", ratio(first, StartUp.limits.first), .atMost(1)),
                .init("joining, over \(Int(StartUp.limits.join)) ms", ratio(join, StartUp.limits.join), .atMost(1)),
            ],
            measured: measured, reason: laboratory.missingNATS.map { "\($0) (the goals do not depend on it)" },
            extras: [("joining_ms", .number(join)), ("limits_ms", .array([.number(StartUp.limits.first), .number(StartUp.limits.join)]))])
    }

    private func firstEvent(_ laboratory: Laboratory) async throws -> Reading {
        let start = monotonic()
        let child = try await laboratory.bench(["node-first", "--certs", laboratory.certificates("a")])
        defer { child.end() }
        _ = try await child.line("first", within: .seconds(20))
        return Reading(values: ["ms": Double(monotonic() - start) / 1e6])
    }

    private func joining(_ laboratory: Laboratory) async throws -> Reading {
        let hub = try await laboratory.bench(["node-beacon", "--certs", laboratory.certificates("a")])
        defer { hub.end() }
        guard let address = try await hub.line("ready", within: .seconds(20))["address"] else { throw BenchError("no address") }
        let second = try await laboratory.bench(["node-joiner", "--certs", laboratory.certificates("b"), "--seed", address])
        defer { second.end() }
        _ = try await second.line("first", within: .seconds(20))
        let start = monotonic()
        let third = try await laboratory.bench(["node-joiner", "--certs", laboratory.certificates("c"), "--seed", address])
        defer { third.end() }
        _ = try await third.line("first", within: .seconds(20))
        return Reading(values: ["ms": Double(monotonic() - start) / 1e6])
    }

    private func natsReady(_ laboratory: Laboratory) async throws -> Reading {
        let file = laboratory.directory.appending(path: "nats-start.conf")
        let (client, route, other) = (try await freePort(), try await freePort(), try await freePort())
        try NATSServers.configuration(
            name: "start", listener: client, clients: .tls, route: route, other: other, certificates: laboratory.certificates("a")
        )
        .write(to: file, atomically: true, encoding: .utf8)
        let start = monotonic()
        let child = try await Child(NATSServers.command(in: laboratory, configuration: file), errors: nil)
        defer { child.end() }
        try await child.text("Server is ready")
        return Reading(values: ["ms": Double(monotonic() - start) / 1e6])
    }
}
