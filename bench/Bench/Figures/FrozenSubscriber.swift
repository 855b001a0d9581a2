/// P6: what nine subscribers lose when a tenth stands still.
struct FrozenSubscriber: Figure {
    static let id = "P6"
    static let title = "fan-out with one more subscriber frozen: loss of the others"
    static let needsNATS = true
    static let quickRounds = 1  // of seven contenders

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = try await laboratory.withNATS { nats in
            let streams = Streams(laboratory: laboratory, nats: nats)
            let nine = FanOut.subscribers
            return await laboratory.alternate(
                laboratory.available(
                    [
                        .ours("llmgine") { try await streams.ours(subscribers: nine) },
                        .ours("llmgine, drop oldest") { try await streams.ours(subscribers: nine, frozen: .dropOldest) },
                        .ours("llmgine, block") { try await streams.ours(subscribers: nine, frozen: .block) },
                    ],
                    // With plain clients, which are faster: what a frozen one costs shows more.
                    nats: [
                        .peer(Streams.plainRoute) { try await streams.nats(subscribers: nine, route: true, clients: .plain) },
                        .peer("\(Streams.plainRoute), frozen") {
                            try await streams.nats(subscribers: nine, route: true, clients: .plain, isFrozen: true)
                        },
                        .peer("NATS one server") { try await streams.nats(subscribers: nine, route: false, clients: .plain) },
                        .peer("NATS one server, frozen") {
                            try await streams.nats(subscribers: nine, route: false, clients: .plain, isFrozen: true)
                        },
                    ]))
        }
        func loss(of frozen: String, from base: String) -> Double? {
            ratio(measured[frozen]?.median("rate"), measured[base]?.median("rate")).map { (1 - $0) * 100 }
        }
        let losses = [loss(of: "llmgine, drop oldest", from: "llmgine"), loss(of: "llmgine, block", from: "llmgine")]
        let worst = losses.contains(nil) ? nil : losses.compactMap { $0 }.max()
        let peers = [Streams.plainRoute, "NATS one server"].compactMap { name in loss(of: "\(name), frozen", from: name).map { (name, $0) }
        }
        return Report(
            FrozenSubscriber.self, unit: "% of deliveries/s lost", ours: worst, peers: peers,
            conditions: [.init("loss in per cent", worst, .atMost(5))], measured: measured, reason: laboratory.missingNATS,
            extras: [
                ("drop_oldest", .number(losses[0])), ("block", .number(losses[1])),
                ("deliveries", measured.all { .number($0.median("rate")) }),
                ("peers_lost", measured.peersLost), ("range", measured.all { $0.spread("rate") }),
            ])
    }
}
