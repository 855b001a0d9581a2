/// P3: how many messages a second travel from a publisher on one node to a subscriber on another.
struct NodeThroughput: Figure {
    static let id = "P3"
    static let title = "node to node, mutual TLS, 128 bytes, one publisher, one remote subscriber"
    static let needsNATS = true

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = try await laboratory.withNATS { nats in
            let streams = Streams(laboratory: laboratory, nats: nats)
            return await laboratory.alternate(
                laboratory.available(
                    [.ours { try await streams.ours(subscribers: 1) }, .peer("bare TLS stream") { try await streams.bare() }],
                    nats: streams.natsContenders(subscribers: 1)))
        }
        let ours = measured["llmgine"]?.median("rate")
        return Report(
            NodeThroughput.self, unit: "messages/s", ours: ours, peers: measured.peers("rate"),
            conditions: [
                .init("times NATS across a route", ratio(ours, measured.bestRoute("rate", max)), .atLeast(10)),
                .init("share of the bare stream", ratio(ours, measured["bare TLS stream"]?.median("rate")), .atLeast(0.75)),
            ],
            measured: measured, reason: laboratory.missingNATS,
            extras: [("peers_lost", measured.peersLost), ("range", measured.all { $0.spread("rate") })])
    }
}
