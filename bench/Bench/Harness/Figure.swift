/// One row of the table in the performance design: a question, the programs that answer it and the goal.
protocol Figure: Sendable {
    /// As in `P3`.
    static var id: String { get }
    /// What is measured, in a line.
    static var title: String { get }
    /// Whether NATS takes part, so that its servers have to be there.
    static var needsNATS: Bool { get }
    /// How many rounds there are unless the caller says otherwise.
    static var rounds: Int { get }
    /// How many rounds fit in the 45 s of `--quick`.
    static var quickRounds: Int { get }

    init()
    func measure(in laboratory: Laboratory) async throws -> Report
}

extension Figure {
    static var needsNATS: Bool { false }
    static var rounds: Int { 5 }
    static var quickRounds: Int { 3 }
}

/// Every figure that can be asked for.
enum Figures {
    static let all: [any Figure.Type] = [
        LocalThroughput.self, LocalLatency.self, NodeThroughput.self, RoundTrip.self, FanOut.self, FrozenSubscriber.self, TopicMatch.self,
        QueueMemory.self, NodeScaling.self, Growth.self, StartUp.self, UrgentLatency.self, Burst.self, Ramp.self, Sustained.self,
        LocalChaos.self,
    ]

    static func named(_ id: String) -> (any Figure.Type)? { all.first { $0.id.lowercased() == id.lowercased() } }
}
