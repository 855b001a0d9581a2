/// The floor that must hold in any run: 10,000 events a second for ten minutes, at once and within bounded memory.
struct Sustained: Figure {
    static let id = "sustained-10m"
    static let title = "10,000 events/s for 10 minutes (--quick: 30 s): p99 and memory"
    static let rounds = 1
    static let quickRounds = 1

    static let rate = 10_000.0
    /// Microseconds that 99 of 100 events may take.
    static let limit = 10_000.0
    /// Megabytes that the memory may grow by between the first tenth and the end.
    static let growth = 8.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        let seconds = laboratory.quick ? 30 : 600
        let measured = await laboratory.alternate([
            .ours {
                try await laboratory.reading(
                    ["local", "sustained", "--rate", "\(Sustained.rate)", "--seconds", "\(seconds)"], within: .seconds(seconds + 60))
            }
        ])
        let series = measured["llmgine"]
        let p99 = series?.median("p99")
        return Report(
            Sustained.self, unit: "us (p99)", ours: p99, peers: [],
            conditions: [
                .init("p99 over 10 ms", ratio(p99, Sustained.limit), .atMost(1)),
                .init("events/s of those asked for", ratio(series?.median("rate"), Sustained.rate), .atLeast(0.999)),
                .init(
                    "growth in MB, over \(Int(Sustained.growth))", ratio(series?.range("grown")?.upperBound, Sustained.growth), .atMost(1)),
            ],
            measured: measured, reason: nil,
            extras: [
                ("seconds", .number(Double(seconds))), ("limit", .number(Sustained.limit)),
                ("latency_us", measured.all { $0.summary(["p50", "p99", "p99.9", "max"]) }),
                ("rss_mb", measured.all { $0.summary(["rss_warm", "rss_end", "rss"]) }), ("cores", .number(series?.median("cores"))),
            ])
    }
}
