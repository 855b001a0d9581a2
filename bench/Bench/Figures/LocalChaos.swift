/// The local bus under handlers that fail and dawdle, queues that overflow and memory that others take: the account of every event (G3), and how
/// soon a handler that works again is called again (G12).
struct LocalChaos: Figure {
    static let id = "chaos-local"
    static let title = "local bus in trouble: unaccounted events (G3) and recovery time (G12)"
    static let rounds = 3
    static let quickRounds = 1

    /// Milliseconds.
    static let recoveryLimit = 1000.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        let seed = laboratory.seed
        let seconds = laboratory.quick ? 10 : 30
        let measured = await laboratory.alternate([
            .ours { try await laboratory.reading("local", "chaos", "--seed", "\(seed)", "--seconds", "\(seconds)") }
        ])
        let series = measured["llmgine"]
        let unbalanced = series?.range("unbalanced")?.upperBound
        let recovery = series?.range("recovery_ms")?.upperBound
        return Report(
            LocalChaos.self, unit: "events unaccounted for", ours: series?.failure == nil ? Double(measured.lost) : nil, peers: [],
            conditions: [
                .init("accounts that do not balance", unbalanced, .atMost(0)),
                .init("longest recovery over 1 s", ratio(recovery, LocalChaos.recoveryLimit), .atMost(1)),
            ],
            measured: measured, reason: nil,
            failure: unbalanced.map { $0 > 0 } ?? false
                ? "events are unaccounted for: bench/.run/processes.log has the accounts; --seed \(seed) brings the same troubles again"
                : nil,
            extras: [
                ("seed", .number(Double(seed))), ("recovery_ms", .number(recovery)), ("rss_mb", .number(series?.range("rss")?.upperBound)),
                (
                    "account",
                    series?.summary(["matched", "delivered", "evicted", "expired", "rejected", "dead_lettered", "in_flight"]) ?? .null
                ),
            ])
    }
}
