/// P8: what 100,000 events cost while they wait for their handler.
struct QueueMemory: Figure {
    static let id = "P8"
    static let title = "memory of 100,000 queued events of 128 bytes, above the payloads"

    /// Megabytes above the payloads.
    static let limit = 20.0

    func measure(in laboratory: Laboratory) async throws -> Report {
        let measured = await laboratory.alternate([.ours { try await laboratory.reading("local", "memory", "--events", "100000") }])
        let ours = measured["llmgine"]?.median("overhead")
        return Report(
            QueueMemory.self, unit: "MB", ours: ours, peers: [],
            conditions: [.init("over \(Int(QueueMemory.limit)) MB", ratio(ours, QueueMemory.limit), .atMost(1))], measured: measured,
            reason: nil,
            extras: [("limit", .number(QueueMemory.limit)), ("total", .number(measured["llmgine"]?.median("total")))])
    }
}
