public import struct LLMgineCore.Topic
public import struct LLMgineCore.TopicFilter

/// Finds the values whose filters match a topic, out of up to millions.
///
/// A value type: a reader keeps a copy and matches without a lock while the writer goes on. A change copies only the pages it touches and
/// only when a reader shares them. The look-up is linear in the tokens of the topic and in what matches, plus one descent per `*` branch on the way.
@usableFromInline package struct TopicTrie<Value: Hashable & Sendable>: Sendable {
    /// The values of one filter. Filters that hang at one place because their hashes collide are chained.
    @usableFromInline struct Leaf: Sendable {
        @usableFromInline var filter: TopicFilter
        /// The first value; nil in the free list. Here and not in the array, because most filters have one, and memory of its own would cost a
        /// look-up another cache miss.
        @usableFromInline var first: Value?
        /// The next leaf of the chain, or of the free list; 0 ends both.
        @usableFromInline var next: UInt32
        @usableFromInline var others: [Value] = []

        @usableFromInline init(filter: TopicFilter, value: Value, next: UInt32) {
            self.filter = filter
            self.first = value
            self.next = next
        }

        var count: Int { first == nil ? 0 : 1 + others.count }

        mutating func removeAll(where predicate: (Value) -> Bool) {
            others.removeAll(where: predicate)
            if let value = first, predicate(value) { first = others.isEmpty ? nil : others.removeFirst() }
        }
    }

    @usableFromInline var tree = TokenTree()
    /// Leaf `n` lies at index `n - 1`.
    @usableFromInline var leaves = PagedArray<Leaf>()
    private var free: UInt32 = 0
    /// How many values there are, counted once per filter.
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }
    /// Leaves and nodes ever made: those in use and those waiting for use. For tests of what churn costs.
    package var leafCount: Int { leaves.count }
    package var nodeCount: Int { tree.nodeCount }

    /// Adds a value under a filter. A value that is there already is added again: who may do that keeps its own set.
    package mutating func insert(_ value: Value, for filter: TopicFilter) {
        count += 1
        let place = tree.make(filter)
        let head = tree[place]
        if let leaf = leaf(of: filter, from: head) {
            leaves[leaf - 1].others.append(value)
        } else {
            tree[place] = allocate(Leaf(filter: filter, value: value, next: head))
        }
    }

    /// Removes the values under exactly this filter that the predicate names. - Returns: how many went.
    @discardableResult package mutating func remove(where predicate: (Value) -> Bool, for filter: TopicFilter) -> Int {
        guard let place = tree.find(filter), let leaf = leaf(of: filter, from: tree[place]) else { return 0 }
        let before = leaves[leaf - 1].count
        leaves[leaf - 1].removeAll(where: predicate)
        let removed = before - leaves[leaf - 1].count
        count -= removed
        if leaves[leaf - 1].first == nil { unlink(leaf, at: place, of: filter) }
        return removed
    }

    /// Removes a value from under exactly this filter. - Returns: whether it was there.
    @discardableResult package mutating func remove(_ value: Value, for filter: TopicFilter) -> Bool {
        remove(where: { $0 == value }, for: filter) > 0
    }

    /// Calls the body for every value under every filter that matches: once per filter, so a value under two of them comes twice.
    @inlinable package func forEachMatch(_ topic: Topic, _ body: (Value) -> Void) {
        tree.visit(topic) { head in
            var leaf = head
            while leaf != 0 {
                // Hashes led here; the texts decide.
                if leaves[leaf - 1].filter.matches(topic) {
                    if let value = leaves[leaf - 1].first { body(value) }
                    for value in leaves[leaf - 1].others { body(value) }
                }
                leaf = leaves[leaf - 1].next
            }
        }
    }

    /// The values whose filters match, each once.
    @inlinable package func matches(_ topic: Topic) -> [Value] {
        var found: [Value] = []
        forEachMatch(topic) { found.append($0) }
        guard found.count > 1 else { return found }
        if found.count <= 8 {
            var distinct: [Value] = []
            for value in found where !distinct.contains(value) { distinct.append(value) }
            return distinct
        }
        var seen = Set<Value>(minimumCapacity: found.count)
        return found.filter { seen.insert($0).inserted }
    }

    private func leaf(of filter: TopicFilter, from head: UInt32) -> UInt32? {
        var leaf = head
        while leaf != 0 {
            if leaves[leaf - 1].filter.text.utf8.elementsEqual(filter.text.utf8) { return leaf }
            leaf = leaves[leaf - 1].next
        }
        return nil
    }

    private mutating func allocate(_ leaf: Leaf) -> UInt32 {
        guard free != 0 else {
            leaves.append(leaf)
            return UInt32(leaves.count)
        }
        let index = free
        free = leaves[index - 1].next
        leaves[index - 1] = leaf
        return index
    }

    private mutating func unlink(_ leaf: UInt32, at place: TokenTree.Place, of filter: TopicFilter) {
        let next = leaves[leaf - 1].next
        if tree[place] == leaf {
            tree[place] = next
            if next == 0 { tree.prune(filter) }
        } else {
            var previous = tree[place]
            while leaves[previous - 1].next != leaf { previous = leaves[previous - 1].next }
            leaves[previous - 1].next = next
        }
        leaves[leaf - 1].next = free
        free = leaf
    }
}
