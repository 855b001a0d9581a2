/// P1: how many events a second one task hands to one async handler on the local bus.
struct LocalThroughput: Figure {
    static let id = "P1"
    static let title = "local bus: one publisher, one async handler, 128-byte event"

    func measure(in laboratory: Laboratory) async throws -> Report {
        let scale = laboratory.quick ? 1 : 4
        // So many events that each contender takes about a second.
        @Sendable func events(_ count: Int) -> String { "\(count * scale)" }
        let measured = await laboratory.alternate([
            .ours { try await laboratory.reading("local", "bus", "--events", events(5_000_000)) },
            .peer("AsyncStream") { try await laboratory.reading("peer", "local", "stream", "--events", events(500_000)) },
            .peer("AsyncChannel") { try await laboratory.reading("peer", "local", "channel", "--events", events(200_000)) },
            .peer("actor call") { try await laboratory.reading("peer", "local", "actor", "--events", events(5_000_000)) },
        ])
        let ours = measured["llmgine"]?.median("rate")
        return Report(
            LocalThroughput.self, unit: "events/s", ours: ours, peers: measured.peers("rate"),
            conditions: [
                .init("times AsyncStream", ratio(ours, measured["AsyncStream"]?.median("rate")), .atLeast(12)),
                .init("events/s", ours, .atLeast(5e6)),
            ],
            measured: measured, reason: nil, extras: [("range", measured.all { $0.spread("rate") })])
    }
}
