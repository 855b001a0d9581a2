/// P13: what membership and interest cost one node as the cluster grows, in the simulation, beside what was estimated beforehand.
struct Growth: Figure {
    static let id = "P13"
    static let title = "simulated growth, 3 to 1000 nodes: membership and interest, bytes a second of one node over the estimate"
    static let rounds = 1
    static let quickRounds = 1

    /// One row of the estimate: 200 subscriptions a node, a heartbeat a second and link, 150 bytes each; 40 bytes an interest entry.
    private struct Estimate {
        let nodes: Int
        /// Frames a second.
        let heartbeats: Double
        let entries: Double
        let joinBytes: Double

        /// 1,998 heartbeats were taken as 300 KB.
        var bytes: Double { heartbeats * 150 }
    }

    private static let estimates = [
        Estimate(nodes: 3, heartbeats: 4, entries: 400, joinBytes: 16e3),
        Estimate(nodes: 10, heartbeats: 18, entries: 1_800, joinBytes: 72e3),
        Estimate(nodes: 30, heartbeats: 58, entries: 5_800, joinBytes: 232e3),
        Estimate(nodes: 100, heartbeats: 198, entries: 19_800, joinBytes: 0.8e6),
        Estimate(nodes: 300, heartbeats: 598, entries: 59_800, joinBytes: 2.4e6),
        Estimate(nodes: 1000, heartbeats: 1_998, entries: 199_800, joinBytes: 8e6),
    ]

    /// What a write costs beside its frames: 22 bytes of a TLS 1.3 record, 52 of TCP and IP with time stamps.
    private static let overhead = 74.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        var rows: [(estimate: Estimate, reading: Reading)] = []
        for estimate in Growth.estimates where !laboratory.quick || estimate.nodes <= 300 {
            let arguments = ["simulate-growth", "--nodes", "\(estimate.nodes)", "--seconds", laboratory.quick ? "10" : "20"]
            let reading = try await laboratory.reading(arguments + (estimate.nodes <= 30 ? ["--mesh"] : []), within: .seconds(600))
            rows.append((estimate, reading))
            Output.tell("    \(Growth.line(estimate, reading))")
        }
        let ratios = rows.map { Growth.bytes("steady", $0.reading) / $0.estimate.bytes }
        let entries = rows.map { ($0.reading.values["entries"] ?? 0) / $0.estimate.entries }
        let last = rows.last
        return Report(
            Growth.self, unit: "bytes/s, out and in, of one node", ours: last.map { Growth.bytes("steady", $0.reading) },
            peers: last.map { [("estimate of \($0.estimate.nodes) nodes", $0.estimate.bytes)] } ?? [],
            conditions: [
                .init("steady bytes/s over the estimate, worst", ratios.max(), .atMost(1)),
                .init("interest entries over the estimate, worst", entries.max(), .atMost(1)),
            ],
            measured: Measured(ours: [], peers: []), reason: laboratory.quick ? "1000 nodes are left out with --quick" : nil,
            extras: [("rows", .array(rows.map { Growth.row($0.estimate, $0.reading) }))])
    }

    /// Out and in: half of the heartbeats of the estimate are the peers'.
    private static func bytes(_ phase: String, _ reading: Reading) -> Double {
        let value = { (name: String) in reading.values["\(phase)_\(name)"] ?? 0 }
        return value("written") + value("read") + overhead * (value("writes") + value("reads"))
    }

    private static func row(_ estimate: Estimate, _ reading: Reading) -> JSON {
        .object([
            ("nodes", .number(Double(estimate.nodes))), ("all_links", .bool(estimate.nodes <= 30)),
            ("bytes_per_second", .number(bytes("steady", reading))), ("estimated_bytes_per_second", .number(estimate.bytes)),
            ("churn_bytes_per_second", .number(bytes("churn", reading))),
            ("interest_entries", .number(reading.values["entries"])), ("estimated_entries", .number(estimate.entries)),
            ("join_bytes", .number(reading.values["join_bytes"])), ("estimated_join_bytes", .number(estimate.joinBytes)),
            ("cpu_percent", .number(reading.values["steady_cpu"].map { $0 * 100 })),
            ("churn_cpu_percent", .number(reading.values["churn_cpu"].map { $0 * 100 })),
        ])
    }

    private static func line(_ estimate: Estimate, _ reading: Reading) -> String {
        let value = { (name: String) in (reading.values[name] ?? 0) }
        return
            "\("\(estimate.nodes)".padded(5)) nodes: \(bytes("steady", reading).brief) B/s (estimated \(estimate.bytes.brief)), with churn \(bytes("churn", reading).brief); \(value("entries").brief) entries (\(estimate.entries.brief)); join \(value("join_bytes").brief) B (\(estimate.joinBytes.brief)); CPU \((value("steady_cpu") * 100).brief) %, with churn \((value("churn_cpu") * 100).brief) %"
    }
}
