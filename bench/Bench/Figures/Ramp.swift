/// From 10,000 to 100,000 events a second: whether the bus keeps up at each step, and what it takes of the processors.
struct Ramp: Figure {
    static let id = "ramp-100k"
    static let title = "10,000 to 100,000 events/s: rate reached, p99 and processors at each step"
    static let rounds = 3
    static let quickRounds = 1

    static let steps = [10_000, 25_000, 50_000, 100_000]
    /// Microseconds that 99 of 100 events may take.
    static let limit = 10_000.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        let seconds = laboratory.quick ? 4 : 10
        let measured = await laboratory.alternate(
            Ramp.steps.map { step in
                .ours(Ramp.name(step)) {
                    try await laboratory.reading("local", "sustained", "--rate", "\(step)", "--seconds", "\(seconds)")
                }
            })
        func median(_ step: Int, _ key: String) -> Double? { measured[Ramp.name(step)]?.median(key) }
        let reached = Ramp.steps.map { ratio(median($0, "rate"), Double($0)) }
        let slowest = Ramp.steps.map { median($0, "p99") }
        let least = reached.contains(nil) ? nil : reached.compactMap { $0 }.min()
        let worst = slowest.contains(nil) ? nil : slowest.compactMap { $0 }.max()
        return Report(
            Ramp.self, unit: "events/s", ours: Ramp.steps.last.flatMap { median($0, "rate") }, peers: [],
            conditions: [
                .init("least share of the rate asked for", least, .atLeast(0.99)),
                .init("highest p99 over 10 ms", ratio(worst, Ramp.limit), .atMost(1)),
            ],
            measured: measured, reason: nil,
            extras: [
                ("latency_us", measured.all { $0.summary(["p50", "p99", "max"]) }), ("cores", measured.all { .number($0.median("cores")) }),
            ])
    }

    private static func name(_ step: Int) -> String { "\(step) events/s" }
}
