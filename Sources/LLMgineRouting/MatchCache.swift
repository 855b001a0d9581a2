public import struct LLMgineCore.Topic

/// Remembers what a topic matched, so that the trie is asked once per topic and not once per event.
///
/// Two-way set associative, indexed by the fingerprint that the topic carries: a hit hashes nothing. The text is compared as well, since
/// two topics may share a fingerprint. Inlinable, because without that each look-up goes through the runtime's generic metadata, which
/// costs some hundred nanoseconds. At capacity a new topic replaces the one of its two slots that was stored earlier.
@usableFromInline package struct MatchCache<Result: Sendable>: Sendable {
    /// What decides most look-ups, kept apart from the texts and results so that a look-up touches no reference count before it has a hit.
    @usableFromInline struct Tag: Sendable {
        @usableFromInline var fingerprint: UInt64
        /// The generation that it was stored in; 0 for a slot never used.
        @usableFromInline var generation: UInt64

        @usableFromInline init(fingerprint: UInt64, generation: UInt64) {
            self.fingerprint = fingerprint
            self.generation = generation
        }
    }

    @usableFromInline struct Entry: Sendable {
        @usableFromInline var text: String
        @usableFromInline var result: Result

        @usableFromInline init(text: String, result: Result) {
            self.text = text
            self.result = result
        }
    }

    /// How many topics it remembers at most: a power of two.
    @usableFromInline package let capacity: Int
    /// Empty until the first store, so that a cache nobody uses costs nothing.
    @usableFromInline var tags: [Tag] = []
    @usableFromInline var entries: [Entry?] = []
    @usableFromInline var generation: UInt64 = 1

    /// - Parameter capacity: rounded up to a power of two, at least 2.
    package init(capacity: Int = 8192) {
        var rounded = 2
        while rounded < capacity { rounded <<= 1 }
        self.capacity = rounded
    }

    /// What was stored for the topic since the last ``removeAll()``.
    @inlinable package func lookup(_ topic: Topic) -> Result? {
        guard !tags.isEmpty else { return nil }
        let slot = first(topic)
        if holds(slot, topic) { return entries[slot]?.result }
        if holds(slot ^ 1, topic) { return entries[slot ^ 1]?.result }
        return nil
    }

    /// Remembers a result for the topic.
    @inlinable package mutating func store(_ result: Result, for topic: Topic) {
        if tags.isEmpty {
            tags = Array(repeating: Tag(fingerprint: 0, generation: 0), count: capacity)
            entries = Array(repeating: nil, count: capacity)
        }
        let slot = first(topic)
        if tags[slot].generation == generation, !holds(slot, topic) {
            tags.swapAt(slot, slot ^ 1)
            entries.swapAt(slot, slot ^ 1)
        }
        tags[slot] = Tag(fingerprint: topic.cacheKey, generation: generation)
        entries[slot] = Entry(text: topic.text, result: result)
    }

    /// Forgets everything in constant time. The old results stay in memory until their slots are used again; ``purge()`` frees them.
    @inlinable package mutating func removeAll() { generation += 1 }

    /// Forgets everything and gives the memory back.
    package mutating func purge() {
        tags = []
        entries = []
    }

    @inlinable func holds(_ slot: Int, _ topic: Topic) -> Bool {
        let tag = tags[slot]
        guard tag.fingerprint == topic.cacheKey, tag.generation == generation else { return false }
        return entries[slot]?.text == topic.text
    }

    @inlinable func first(_ topic: Topic) -> Int {
        let key = topic.cacheKey
        return Int(truncatingIfNeeded: key ^ key >> 32) & (capacity - 1)
    }
}

extension Topic {
    /// The fingerprint, for inlinable code, which cannot see it in Core.
    @usableFromInline var cacheKey: UInt64 { fingerprint }
}
