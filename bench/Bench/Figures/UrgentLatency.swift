/// G10: how long urgent events are on their way while low ones saturate the link.
struct UrgentLatency: Figure {
    static let id = "G10"
    static let title = "urgent events while low ones saturate the link, node to node, mutual TLS, 128 bytes"

    /// Microseconds that 99 of 100 events may take.
    static let limit = 10_000.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = await laboratory.alternate([.ours { try await reading(laboratory) }])
        let ours = measured["llmgine"]
        return Report(
            UrgentLatency.self, unit: "us (p99)", ours: ours?.median("p99"), peers: [],
            conditions: [.init("p99 over 10 ms", ratio(ours?.median("p99"), UrgentLatency.limit), .atMost(1))], measured: measured,
            reason: nil,
            extras: [
                ("limit", .number(UrgentLatency.limit)),
                ("latency_us", measured.all { $0.summary(["p50", "p99", "p99.9", "max", "low_p50", "low_p99"]) }),
                ("low_rate", .number(ours?.median("low_rate"))),
            ])
    }

    private func reading(_ laboratory: Laboratory) async throws -> Reading {
        let count = laboratory.quick ? "500" : "2000"
        let sink = try await laboratory.bench(["node-urgent-sink", "--certs", laboratory.certificates("b"), "--count", count])
        defer { sink.end() }
        guard let address = try await sink.line("ready", within: .seconds(20))["address"] else { throw BenchError("no address") }
        let source = try await laboratory.bench([
            "node-urgent-source", "--certs", laboratory.certificates("a"), "--seed", address, "--count", count,
        ])
        defer { source.end() }
        return try Reading(await sink.line("result", within: .seconds(120)))
    }
}
