/// P2: from the time an event is due to be published to its handler, at 100,000 events a second.
struct LocalLatency: Figure {
    static let id = "P2"
    static let title = "publish-to-handler latency at 100 k events/s, open loop"

    /// Microseconds that 99 of 100 events may take.
    static let limit = 200.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        let load = ["--rate", "100000", "--seconds", "\(laboratory.quick ? 3 : 8)"]
        let measured = await laboratory.alternate([
            .ours { try await laboratory.reading(["local", "latency"] + load) },
            .peer("AsyncStream") { try await laboratory.reading(["peer", "local-latency", "stream"] + load) },
            .peer("spinning threads") { try await laboratory.reading(["peer", "local-latency", "spin"] + load) },
        ])
        let ours = measured["llmgine"]?.median("p99")
        return Report(
            LocalLatency.self, unit: "us (p99)", ours: ours, peers: measured.peers("p99"),
            conditions: [.init("p99 over \(Int(LocalLatency.limit)) us", ratio(ours, LocalLatency.limit), .atMost(1))],
            measured: measured, reason: nil,
            extras: [("limit", .number(LocalLatency.limit)), ("latency_us", measured.all { $0.summary(["p50", "p99", "p99.9", "max"]) })])
    }
}
