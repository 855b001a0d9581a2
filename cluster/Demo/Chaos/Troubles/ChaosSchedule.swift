import LLMgineTestKit

/// Troubles in rounds, drawn from a seed: each kind strikes in each round, in an order that is new each time.
package struct ChaosSchedule {
    private var random: SeededGenerator
    private let nodes: Int
    private let kinds: [ChaosTrouble.Kind]
    private var round: [ChaosTrouble.Kind] = []
    /// How many rounds have been drawn to their end.
    package private(set) var rounds = 0

    /// - Parameter hasDisk: whether there is a disk that may be filled.
    package init(seed: UInt64, nodes: Int, hasDisk: Bool) {
        random = SeededGenerator(seed: seed)
        self.nodes = nodes
        kinds = ChaosTrouble.Kind.allCases.filter { hasDisk || !$0.needsDisk }
    }

    package mutating func next() -> ChaosTrouble {
        if round.isEmpty { round = kinds.flatMap { Array(repeating: $0, count: $0.share) }.shuffled(using: &random) }
        let kind = round.removeLast()
        if round.isEmpty { rounds += 1 }
        // Three draws each, whatever the kind.
        let node = draw(0...nodes - 1)
        let lasts = draw(kind.time)
        return ChaosTrouble(
            kind: kind, node: kind.needsDisk ? Chaos.durableNode : node, lasts: .milliseconds(lasts), pause: .milliseconds(draw(50...500)))
    }

    private mutating func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
}
