/// P6: what nine subscribers lose when a tenth stands still.
struct FrozenSubscriber: Figure {
    static let id = "P6"
    static let title = "fan-out with one more subscriber frozen: loss of the others"
    static let needsNATS = true
    static let quickRounds = 1  // of six contenders

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = try await laboratory.withNATS { nats in
            let streams = Streams(laboratory: laboratory, nats: nats)
            let nine = FanOut.subscribers
            return await laboratory.alternate(
                laboratory.available(
                    [
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
        let losses = [measured["llmgine, drop oldest"]?.median("loss"), measured["llmgine, block"]?.median("loss")]
        let worst = losses.contains(nil) ? nil : losses.compactMap { $0 }.max()
        let peers = [Streams.plainRoute, "NATS one server"].compactMap { name in
            ratio(measured["\(name), frozen"]?.median("rate"), measured[name]?.median("rate")).map { (name, (1 - $0) * 100) }
        }
        return Report(
            FrozenSubscriber.self, unit: "% of deliveries/s lost", ours: worst, peers: peers,
            conditions: [.init("loss in per cent", worst, .atMost(5))], measured: measured, reason: laboratory.missingNATS,
            extras: [
                ("drop_oldest", .number(losses[0])), ("block", .number(losses[1])),
                ("deliveries", measured.all { .number($0.median("frozen") ?? $0.median("rate")) }),
                ("deliveries_without", measured.all { .number($0.median("free")) }),
                ("peers_lost", measured.peersLost), ("range", measured.all { $0.spread($0.median("loss") == nil ? "rate" : "loss") }),
            ])
    }
}
