/// P7: how long finding the subscribers of a topic takes among a million subscriptions.
struct TopicMatch: Figure {
    static let id = "P7"
    static let title = "topic match with 1 M subscriptions"

    /// Nanoseconds for a topic seen before, and for a new one.
    static let limits = (cached: 100.0, uncached: 1000.0)

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = await laboratory.alternate([.ours { try await laboratory.reading("local", "match", "--subscriptions", "1000000") }])
        let cached = measured["llmgine"]?.median("cached")
        let uncached = measured["llmgine"]?.median("uncached")
        return Report(
            TopicMatch.self, unit: "ns (cached)", ours: cached, peers: [],
            conditions: [
                .init("cached, over \(Int(TopicMatch.limits.cached)) ns", ratio(cached, TopicMatch.limits.cached), .atMost(1)),
                .init("not cached, over \(Int(TopicMatch.limits.uncached)) ns", ratio(uncached, TopicMatch.limits.uncached), .atMost(1)),
            ],
            measured: measured, reason: "NATS's sublist is a Go package without a program to run: the goals are absolute",
            extras: [
                ("uncached_ns", .number(uncached)),
                ("limits_ns", .array([.number(TopicMatch.limits.cached), .number(TopicMatch.limits.uncached)])),
            ])
    }
}
