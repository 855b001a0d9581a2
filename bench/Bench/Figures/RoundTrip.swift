/// P4: a request to another node and its reply.
struct RoundTrip: Figure {
    static let id = "P4"
    static let title = "request/reply round trip node to node, mutual TLS, 128 bytes"
    static let needsNATS = true

    /// Microseconds that the goal names; on a machine of another speed the ratios to NATS say the same.
    static let limits = (p50: 85.0, p99: 150.0)

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = try await laboratory.withNATS { nats in
            await laboratory.alternate(
                laboratory.available(
                    [.ours { try await ours(laboratory) }, .peer("bare TLS echo") { try await bare(laboratory) }],
                    nats: [
                        .peer(Streams.route) { try await viaNATS(nats, route: true, clients: .tls, laboratory) },
                        .peer(Streams.plainRoute) { try await viaNATS(nats, route: true, clients: .plain, laboratory) },
                        .peer("NATS one server") { try await viaNATS(nats, route: false, clients: .tls, laboratory) },
                    ]))
        }
        let (p50, p99) = (measured["llmgine"]?.median("p50"), measured["llmgine"]?.median("p99"))
        var extras: [(String, JSON)] = [("latency_us", measured.all { $0.summary(["p50", "p99", "max"]) })]
        if let p50, let p99 { extras.append(("within_limits", .bool(p50 <= RoundTrip.limits.p50 && p99 <= RoundTrip.limits.p99))) }
        return Report(
            RoundTrip.self, unit: "us (p50)", ours: p50, peers: measured.peers("p50"),
            conditions: [
                .init("p50 over NATS across a route", ratio(p50, measured.bestRoute("p50", min)), .atMost(0.5)),
                .init("p99 over NATS across a route", ratio(p99, measured.bestRoute("p99", min)), .atMost(0.5)),
            ],
            measured: measured, reason: laboratory.missingNATS, extras: extras)
    }

    private func counts(_ laboratory: Laboratory) -> (warmUp: String, count: String) {
        laboratory.quick ? ("1000", "5000") : ("10000", "50000")
    }

    private func ours(_ laboratory: Laboratory) async throws -> Reading {
        let responder = try await laboratory.bench(["node-responder", "--certs", laboratory.certificates("b")])
        defer { responder.end() }
        guard let address = try await responder.line("ready", within: .seconds(20))["address"] else { throw BenchError("no address") }
        let (warmUp, count) = counts(laboratory)
        return try await laboratory.reading([
            "node-caller", "--certs", laboratory.certificates("a"), "--seed", address, "--warm-up", warmUp, "--count", count,
        ])
    }

    private func bare(_ laboratory: Laboratory) async throws -> Reading {
        let certificates = laboratory.certificates("c")
        let echo = try await laboratory.bench(["peer", "tls-echo", "--certs", certificates])
        defer { echo.end() }
        guard let port = try await echo.line("ready", within: .seconds(20))["port"] else { throw BenchError("no port") }
        let (warmUp, count) = counts(laboratory)
        return try await laboratory.reading([
            "peer", "tls-caller", "--certs", certificates, "--port", port, "--warm-up", warmUp, "--count", count,
        ])
    }

    private func viaNATS(
        _ servers: NATSServers?, route: Bool, clients: NATSServers.Clients, _ laboratory: Laboratory
    ) async throws -> Reading {
        guard let servers else { throw BenchError("NATS is not running") }
        let responder = try await laboratory.nats("nats_reply", servers.arguments(behindRoute: route, clients: clients, in: laboratory))
        defer { responder.end() }
        _ = try await responder.line("ready", within: .seconds(20))
        let (warmUp, count) = counts(laboratory)
        let caller = try await laboratory.nats(
            "nats_request", servers.arguments(behindRoute: false, clients: clients, in: laboratory) + [warmUp, count])
        defer { caller.end() }
        return try Reading(await caller.line("result", within: .seconds(120)))
    }
}
