/// A bus that idled and gets 50,000 events at once.
struct Burst: Figure {
    static let id = "burst-50k"
    static let title = "a burst of 50,000 events within one second: until the last is handled"

    static let events = 50_000
    /// Milliseconds for all of them.
    static let limit = 1000.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = await laboratory.alternate([
            .ours { try await laboratory.reading("local", "burst", "--events", "\(Burst.events)") }
        ])
        let series = measured["llmgine"]
        let ours = series?.median("handled_ms")
        return Report(
            Burst.self, unit: "ms", ours: ours, peers: [],
            conditions: [.init("over 1 s", ratio(ours, Burst.limit), .atMost(1))], measured: measured, reason: nil,
            extras: [
                ("published_ms", .number(series?.median("published_ms"))),
                ("latency_us", measured.all { $0.summary(["p50", "p99", "max"]) }),
                ("range", measured.all { $0.spread("handled_ms") }),
            ])
    }
}
