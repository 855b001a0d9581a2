import ArgumentParser
import LLMgineCore
import LLMgineRouting

/// `Bench local match`: looks topics up among many subscriptions, one in ten of them with a wildcard.
struct LocalMatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "match")
    @Option var subscriptions: Int

    func run() async throws {
        var trie = TopicTrie<UInt32>()
        for index in 0..<subscriptions { trie.insert(UInt32(truncatingIfNeeded: index), for: try filter(index)) }
        // Every topic matches one or two subscriptions; steps by a prime so that neighbours in time are not neighbours in the trie.
        let topics = try (0..<200_000).map { try published(on: $0 &* 7_919 % subscriptions) }
        let uncached = time(topics, times: 1) { topic in
            var found = 0
            trie.forEachMatch(topic) { _ in found += 1 }
            return found
        }

        var cache = MatchCache<[UInt32]>()
        let hot = Array(topics.prefix(1_000))
        for topic in hot { cache.store(trie.matches(topic), for: topic) }
        // Two of a thousand may share a slot with others and be gone: only what is in the cache is timed.
        let cachedTopics = hot.filter { cache.lookup($0) != nil }
        let cached = time(cachedTopics, times: 1_000) { cache.lookup($0)?.count ?? 0 }
        Output.say(
            Line(
                "result",
                ["cached": "\(cached.nanoseconds)", "uncached": "\(uncached.nanoseconds)", "lost": "\(uncached.misses + cached.misses)"]))
    }

    /// Nanoseconds per topic, and how many topics found nobody.
    private func time(_ topics: [Topic], times: Int, _ match: (Topic) -> Int) -> (nanoseconds: Double, misses: Int) {
        var misses = 0
        let start = monotonic()
        for _ in 0..<times {
            for topic in topics where match(topic) == 0 { misses += 1 }
        }
        return (Double(monotonic() - start) / Double(topics.count * times), misses)
    }

    private func filter(_ index: Int) throws -> TopicFilter {
        let text = topic(index)
        switch index % 20 {
        case 0: return try TopicFilter(text + ".>")
        case 10: return try TopicFilter("tenants.\(index % 1000).*.order\(index)")
        default: return try TopicFilter(text)
        }
    }

    /// A topic that the filter of the same number matches.
    private func published(on index: Int) throws -> Topic { try Topic(index % 20 == 0 ? topic(index) + ".line" : topic(index)) }

    private func topic(_ index: Int) -> String { "tenants.\(index % 1000).region\(index % 7).order\(index)" }
}
