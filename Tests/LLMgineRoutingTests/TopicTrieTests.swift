import LLMgineCore
import LLMgineRouting
import Testing

/// A small generator for tests: the same seed gives the same run on every machine.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}

@Suite struct `A topic trie` {
    @Test func `finds literal, star and tail filters`() {
        var trie = TopicTrie<Int>()
        let filters: [TopicFilter] = ["a.b.c", "a.*.c", "a.>", "*.b.*", ">", "a.b", "a.b.c.d", "b.>", "*", "a.b.c.>"]
        for (value, filter) in filters.enumerated() { trie.insert(value, for: filter) }
        #expect(trie.matches("a.b.c").sorted() == [0, 1, 2, 3, 4])
        #expect(trie.matches("a").sorted() == [4, 8])
        #expect(trie.matches("a.b").sorted() == [2, 4, 5])
        #expect(trie.matches("z.y.x.w") == [4])
        #expect(trie.count == filters.count)
    }

    @Test func `gives a value under two matching filters once, but visits it twice`() {
        var trie = TopicTrie<String>()
        trie.insert("one", for: "a.*")
        trie.insert("one", for: "a.>")
        #expect(trie.matches("a.b") == ["one"])
        var visits = 0
        trie.forEachMatch("a.b") { _ in visits += 1 }
        #expect(visits == 2)
    }

    @Test func `gives each of many values once`() {
        var trie = TopicTrie<Int>()
        for value in 0..<100 {
            trie.insert(value, for: "a.*")
            trie.insert(value, for: "a.b")
        }
        #expect(trie.matches("a.b").sorted() == Array(0..<100))
    }

    @Test func `removes what the predicate names under that filter only`() {
        var trie = TopicTrie<Int>()
        for value in 1...4 { trie.insert(value, for: "a.b") }
        trie.insert(2, for: "a.*")
        #expect(trie.remove(where: { $0 % 2 == 0 }, for: "a.b") == 2)
        #expect(trie.matches("a.b").sorted() == [1, 2, 3])
        #expect(trie.remove(9, for: "a.b") == false)
        #expect(trie.remove(1, for: "a.>") == false)
        #expect(trie.remove(1, for: "x.y.z") == false)
        #expect(trie.count == 3)
    }

    @Test func `is unchanged for a reader that holds a copy`() {
        var trie = TopicTrie<Int>()
        for value in 0..<2000 { trie.insert(value, for: TopicFilter(Topic(stringLiteral: "a.\(value)"))) }
        let snapshot = trie
        for value in 0..<2000 { trie.remove(value, for: TopicFilter(Topic(stringLiteral: "a.\(value)"))) }
        trie.insert(7, for: "a.*")
        #expect(snapshot.matches("a.1234") == [1234])
        #expect(trie.matches("a.1234") == [7])
        #expect(snapshot.count == 2000)
        #expect(trie.count == 1)
    }

    @Test func `uses the room of removed filters again`() {
        var trie = TopicTrie<Int>()
        for round in 0..<50 {
            for value in 0..<200 { trie.insert(value, for: TopicFilter(Topic(stringLiteral: "r\(round).\(value)"))) }
            for value in 0..<200 { trie.remove(value, for: TopicFilter(Topic(stringLiteral: "r\(round).\(value)"))) }
        }
        #expect(trie.isEmpty)
        #expect(trie.leafCount <= 200)
        #expect(trie.nodeCount <= 202)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func `agrees with the naive match`(seed: UInt64) throws {
        var random = Seeded(seed)
        var trie = TopicTrie<Int>()
        var naive: [(value: Int, filter: TopicFilter)] = []
        for step in 0..<3000 {
            if naive.isEmpty || Int.random(in: 0..<10, using: &random) < 7 {
                let filter = try TopicFilter(Self.filter(&random))
                trie.insert(step, for: filter)
                naive.append((step, filter))
            } else {
                let gone = naive.remove(at: Int.random(in: 0..<naive.count, using: &random))
                #expect(trie.remove(gone.value, for: gone.filter) == true, "seed \(seed), step \(step)")
            }
            guard step % 10 == 0 else { continue }
            let topic = try Topic(Self.text(&random))
            let expected = naive.filter { $0.filter.matches(topic) }.map(\.value).sorted()
            #expect(trie.matches(topic).sorted() == expected, "seed \(seed), step \(step), topic \(topic)")
        }
        for (value, filter) in naive { #expect(trie.remove(value, for: filter) == true, "seed \(seed)") }
        #expect(trie.isEmpty)
    }

    private static func text(_ random: inout Seeded) -> String {
        (0..<Int.random(in: 1...5, using: &random)).map { _ in
            let number = Int.random(in: 0..<40, using: &random)
            return number < 20 ? ["a", "b", "c", "dd"][number % 4] : "t\(number * number)"
        }.joined(separator: ".")
    }

    private static func filter(_ random: inout Seeded) -> String {
        var tokens = text(&random).split(separator: ".").map(String.init)
        for index in tokens.indices where Int.random(in: 0..<4, using: &random) == 0 { tokens[index] = "*" }
        if Int.random(in: 0..<5, using: &random) == 0 { tokens[tokens.count - 1] = ">" }
        return tokens.joined(separator: ".")
    }
}

@Suite struct `A match cache` {
    @Test func `remembers a result until everything is forgotten`() {
        var cache = MatchCache<[Int]>(capacity: 16)
        #expect(cache.lookup("a") == nil)
        cache.store([1], for: "a")
        cache.store([2], for: "b")
        #expect(cache.lookup("a") == [1])
        cache.removeAll()
        #expect(cache.lookup("a") == nil)
        cache.store([3], for: "a")
        #expect(cache.lookup("a") == [3])
        #expect(cache.lookup("b") == nil)
        cache.purge()
        #expect(cache.lookup("a") == nil)
    }

    @Test func `takes a newer result for the same topic`() {
        var cache = MatchCache<Int>(capacity: 2)
        cache.store(1, for: "a")
        cache.store(2, for: "b")
        cache.store(3, for: "a")
        #expect(cache.lookup("a") == 3)
    }

    @Test func `stays within its capacity and never confuses two topics`() {
        var cache = MatchCache<String>(capacity: 60)
        #expect(cache.capacity == 64)
        var hits = 0
        for number in 0..<5000 {
            let topic = Topic(stringLiteral: "topic.\(number)")
            cache.store(topic.text, for: topic)
            #expect(cache.lookup(topic) == topic.text)
        }
        for number in 0..<5000 {
            let topic = Topic(stringLiteral: "topic.\(number)")
            guard let result = cache.lookup(topic) else { continue }
            hits += 1
            #expect(result == topic.text)
        }
        #expect(hits > 0 && hits <= 64)
    }
}
