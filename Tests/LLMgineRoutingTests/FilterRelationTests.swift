import LLMgineCore
import LLMgineTestKit
import Testing

/// Compares with all topics of up to five tokens over `a`, `b` and one token that no filter names: enough to tell any two filters of up to
/// four tokens apart.
@Suite struct `Two filters` {
    private static let topics: [Topic] = {
        var texts = [""]
        var all: [String] = []
        for _ in 1...5 {
            texts = texts.flatMap { text in ["a", "b", "z"].map { text.isEmpty ? $0 : "\(text).\($0)" } }
            all += texts
        }
        return all.compactMap { try? Topic($0) }
    }()

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `overlap and cover each other as their topics do`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<150 {
            let (one, other) = (try filter(&random), try filter(&random))
            let (ones, others) = (Self.topics.filter(one.matches), Set(Self.topics.filter(other.matches)))
            #expect(one.overlaps(other) == ones.contains(where: others.contains), "seed \(seed): \(one) and \(other)")
            #expect(other.covers(one) == ones.allSatisfy(others.contains), "seed \(seed): \(other) over \(one)")
        }
    }

    private func filter(_ random: inout SeededGenerator) throws -> TopicFilter {
        let count = Int.random(in: 1...4, using: &random)
        var tokens = (0..<count).map { _ in ["a", "b", "*"][Int.random(in: 0..<3, using: &random)] }
        if Int.random(in: 0..<3, using: &random) == 0 { tokens[count - 1] = ">" }
        return try TopicFilter(tokens.joined(separator: "."))
    }
}
