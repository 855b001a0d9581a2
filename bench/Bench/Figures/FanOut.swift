/// P5: deliveries a second when nine subscribers on another node want every message.
struct FanOut: Figure {
    static let id = "P5"
    static let title = "fan-out: one publisher, 9 subscribers on another node"
    static let needsNATS = true
    static let quickRounds = 2
    static let subscribers = 9

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = try await laboratory.withNATS { nats in
            let streams = Streams(laboratory: laboratory, nats: nats)
            return await laboratory.alternate(
                laboratory.available(
                    [.ours { try await streams.ours(subscribers: FanOut.subscribers) }],
                    nats: streams.natsContenders(subscribers: FanOut.subscribers)))
        }
        let ours = measured["llmgine"]?.median("rate")
        return Report(
            FanOut.self, unit: "deliveries/s", ours: ours, peers: measured.peers("rate"),
            conditions: [.init("times NATS across a route", ratio(ours, measured.bestRoute("rate", max)), .atLeast(5))],
            measured: measured, reason: laboratory.missingNATS,
            extras: [("peers_lost", measured.peersLost), ("range", measured.all { $0.spread("rate") })])
    }
}
