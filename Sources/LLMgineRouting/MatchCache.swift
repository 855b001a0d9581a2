package import struct LLMgineCore.Topic

/// Remembers what a topic matched, so that the trie is asked once per topic and not once per event.
///
/// Two-way set associative, indexed by the fingerprint that the topic carries: a hit hashes nothing. The text is compared as well, since
/// two topics may share a fingerprint. At capacity a new topic replaces the one of its two slots that was stored earlier.
package struct MatchCache<Result: Sendable>: Sendable {
    @usableFromInline struct Entry: Sendable {
        @usableFromInline var topic: Topic
        @usableFromInline var generation: UInt64
        @usableFromInline var result: Result

        @usableFromInline init(topic: Topic, generation: UInt64, result: Result) {
            self.topic = topic
            self.generation = generation
            self.result = result
        }
    }

    /// How many topics it remembers at most: a power of two.
    package let capacity: Int
    /// Empty until the first store, so that a cache nobody uses costs nothing.
    @usableFromInline var entries: [Entry?] = []
    @usableFromInline var generation: UInt64 = 0

    /// - Parameter capacity: rounded up to a power of two, at least 2.
    package init(capacity: Int = 8192) {
        var rounded = 2
        while rounded < capacity { rounded <<= 1 }
        self.capacity = rounded
    }

    /// What was stored for the topic since the last ``removeAll()``.
    @inlinable package func lookup(_ topic: Topic) -> Result? {
        guard !entries.isEmpty else { return nil }
        let slot = first(topic)
        if let entry = entries[slot], entry.topic == topic { return entry.generation == generation ? entry.result : nil }
        if let entry = entries[slot ^ 1], entry.topic == topic { return entry.generation == generation ? entry.result : nil }
        return nil
    }

    /// Remembers a result for the topic.
    @inlinable package mutating func store(_ result: Result, for topic: Topic) {
        if entries.isEmpty { entries = Array(repeating: nil, count: capacity) }
        let slot = first(topic)
        if let entry = entries[slot], entry.generation == generation, entry.topic != topic { entries[slot ^ 1] = entry }
        entries[slot] = Entry(topic: topic, generation: generation, result: result)
    }

    /// Forgets everything in constant time. The old results stay in memory until their slots are used again; ``purge()`` frees them.
    @inlinable package mutating func removeAll() { generation &+= 1 }

    /// Forgets everything and gives the memory back.
    package mutating func purge() { entries = [] }

    @inlinable func first(_ topic: Topic) -> Int {
        let fingerprint = topic.fingerprint
        return Int(truncatingIfNeeded: fingerprint ^ fingerprint >> 32) & (capacity - 1)
    }
}
