/// P12: what an event costs as nodes are added, when each publishes to the next and all are connected with each other.
struct NodeScaling: Figure {
    static let id = "P12"
    static let title = "1 to 5 nodes as processes, each publishing to the next: processor time per event, per added node"
    static let rounds = 3
    static let quickRounds = 2
    static let most = 5

    /// How long the nodes have to start and to find each other, in nanoseconds.
    private static let preparation: UInt64 = 2_500_000_000

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = await laboratory.alternate(
            (1...NodeScaling.most).map { count in .ours(NodeScaling.name(count)) { try await ring(of: count, in: laboratory) } })
        let cost = { (count: Int) in measured[NodeScaling.name(count)]?.median("us_per_event") }
        // One node alone crosses no link, so growth is counted from two.
        let growth = (3...NodeScaling.most).compactMap { count in
            ratio(cost(count), cost(2)).map { 100 * ($0 - 1) / Double(count - 2) }
        }
        return Report(
            NodeScaling.self, unit: "us of processor time per event, 5 nodes", ours: cost(NodeScaling.most), peers: [],
            conditions: [
                .init(
                    "per cent more per event and added node, worst", growth.count == NodeScaling.most - 2 ? growth.max() : nil, .atMost(10))
            ],
            measured: measured, reason: nil,
            extras: [
                ("us_per_event", measured.all { .number($0.median("us_per_event")) }),
                ("rate", measured.all { .number($0.median("rate")) }),
                ("cores", measured.all { .number($0.median("cores")) }),
            ])
    }

    private static func name(_ count: Int) -> String { count == 1 ? "1 node" : "\(count) nodes" }

    /// So many processes; what they sent, received and took of the processors together.
    private func ring(of count: Int, in laboratory: Laboratory) async throws -> Reading {
        let startAt = monotonic() + NodeScaling.preparation
        var nodes: [Child] = []
        defer { nodes.forEach { $0.end() } }
        var seed: String?
        for place in 0..<count {
            let node = try await laboratory.bench(
                [
                    "node-ring", "--certs", laboratory.certificates(["a", "b", "c", "d", "e"][place]), "--place", "\(place)", "--of",
                    "\(count)",
                    "--start-at", "\(startAt)", "--seconds", "\(laboratory.seconds)",
                ] + (seed.map { ["--seed", $0] } ?? []))
            nodes.append(node)
            let address = try await node.line("ready", within: .seconds(20))["address"]
            if seed == nil { seed = address }
        }
        var sent = 0.0
        var received = 0.0
        var processor = 0.0
        var seconds = 0.0
        for node in nodes {
            let line = try await node.line("result")
            sent += try line.number("sent")
            received += try line.number("received")
            processor += try line.number("cpu")
            seconds = max(seconds, try line.number("seconds"))
        }
        guard received > 0, seconds > 0 else { throw BenchError("nothing arrived") }
        return Reading(
            values: ["rate": received / seconds, "us_per_event": processor * 1e6 / received, "cores": processor / seconds],
            lost: Int(sent - received))
    }
}
