public import struct LLMgineCore.Topic
public import struct LLMgineCore.TopicFilter

/// The levels of a ``TopicTrie``: nodes joined by token, each with at most one `*` branch and two lists of leaves.
///
/// Tokens are known by their 64-bit FNV-1a only. Two tokens of one node that share a hash share a branch; the trie compares texts once per
/// leaf, so a collision costs a comparison and never a wrong delivery.
///
/// The end of a filter that no other one goes on from has no node: its leaves hang at the branch itself, for most filters end so, and among a million of
/// them each node is a cache miss.
@usableFromInline package struct TokenTree: Sendable {
    private struct Node: Sendable {
        /// The branch for `*`, 0 for none. Links the free list in a node that is not in use.
        var star: UInt32 = 0
        /// Leaves of filters that end here.
        var exact: UInt32 = 0
        /// Leaves of filters that go on with `>`.
        var tail: UInt32 = 0
        /// Literal branches.
        var children: UInt32 = 0

        var isEmpty: Bool { star | exact | tail | children == 0 }
    }

    /// Where the leaves of a filter hang.
    package enum Place: Sendable {
        /// Those of a filter that ends at a node.
        case node(UInt32)
        /// Those of a filter that goes on with `>` from a node.
        case tail(UInt32)
        /// Those of a filter that ends at a branch without a node.
        case branch(parent: UInt32, token: UInt64)
    }

    /// Where a branch leads: to a node, or to leaves, which have this bit.
    private static let leaves: UInt32 = 1 << 31

    private enum Step {
        case literal(UInt64)
        case star
        case tail
    }

    private var nodes = PagedArray<Node>()
    private var edges = EdgeTable()
    private var free: UInt32 = 0

    package init() { nodes.append(Node()) }

    var nodeCount: Int { nodes.count }

    /// The first leaf at a place, 0 for none.
    package subscript(place: Place) -> UInt32 {
        get {
            switch place {
            case .node(let node): nodes[node].exact
            case .tail(let node): nodes[node].tail
            case .branch(let parent, let token): edges.child(of: parent, token: token) & ~TokenTree.leaves
            }
        }
        set {
            switch place {
            case .node(let node): nodes[node].exact = newValue
            case .tail(let node): nodes[node].tail = newValue
            case .branch(let parent, let token): edges.update(newValue | TokenTree.leaves, of: parent, token: token)
            }
        }
    }

    /// The place of a filter, if the way to it exists.
    package func find(_ filter: TopicFilter) -> Place? {
        var node: UInt32 = 0
        var found: Place?
        TokenTree.steps(filter) { step, isLast in
            switch step {
            case .tail:
                found = .tail(node)
                return false
            case .star: node = nodes[node].star
            case .literal(let token):
                let child = edges.child(of: node, token: token)
                if child & TokenTree.leaves != 0 {
                    if isLast { found = .branch(parent: node, token: token) }
                    return false
                }
                node = child
            }
            if node != 0, isLast { found = .node(node) }
            return node != 0
        }
        return found
    }

    /// The place of a filter, with the way to it made.
    package mutating func make(_ filter: TopicFilter) -> Place {
        var node: UInt32 = 0
        var place: Place?
        TokenTree.steps(filter) { step, isLast in
            switch step {
            case .tail: place = .tail(node)
            case .star:
                if nodes[node].star == 0 {
                    let fresh = allocate()
                    nodes[node].star = fresh
                }
                node = nodes[node].star
            case .literal(let token):
                var child = edges.child(of: node, token: token)
                if child == 0 {
                    child = isLast ? TokenTree.leaves : allocate()
                    edges.insert(child, of: node, token: token)
                    nodes[node].children += 1
                }
                if child & TokenTree.leaves != 0 {
                    guard !isLast else {
                        place = .branch(parent: node, token: token)
                        return false
                    }
                    // This filter goes on where others end.
                    let fresh = allocate()
                    nodes[fresh].exact = child & ~TokenTree.leaves
                    edges.update(fresh, of: node, token: token)
                    child = fresh
                }
                node = child
            }
            return true
        }
        return place ?? .node(node)
    }

    /// Takes away the nodes on the way to a filter that lead nowhere any more.
    package mutating func prune(_ filter: TopicFilter) {
        var way: [(parent: UInt32, step: Step, node: UInt32)] = []
        var node: UInt32 = 0
        TokenTree.steps(filter) { step, _ in
            let parent = node
            switch step {
            case .tail: return false
            case .star: node = nodes[parent].star
            case .literal(let token): node = edges.child(of: parent, token: token)
            }
            guard node != 0 else { return false }
            way.append((parent, step, node))
            return node & TokenTree.leaves == 0
        }
        for (parent, step, node) in way.reversed() {
            guard isEmpty(node) else { return }
            switch step {
            case .tail: break
            case .star: nodes[parent].star = 0
            case .literal(let token):
                edges.remove(of: parent, token: token)
                nodes[parent].children -= 1
            }
            guard node & TokenTree.leaves == 0 else { continue }
            nodes[node].star = free
            free = node
        }
    }

    /// Whether a branch leads nowhere any more.
    private func isEmpty(_ child: UInt32) -> Bool {
        child & TokenTree.leaves == 0 ? nodes[child].isEmpty : child == TokenTree.leaves
    }

    /// Gives the first leaf of every place whose hashes agree with the topic.
    @usableFromInline package func visit(_ topic: Topic, _ body: (UInt32) -> Void) {
        let tokens = Tokens(topic)
        descend(from: 0, at: 0, tokens, body)
    }

    private func descend(from start: UInt32, at level: Int, _ tokens: borrowing Tokens, _ body: (UInt32) -> Void) {
        var node = start
        var level = level
        while true {
            let here = nodes[node]
            guard level < tokens.count else {
                if here.exact != 0 { body(here.exact) }
                return
            }
            if here.tail != 0 { body(here.tail) }
            if here.star != 0 { descend(from: here.star, at: level + 1, tokens, body) }
            guard here.children != 0 else { return }
            node = edges.child(of: node, token: tokens.hashes[level])
            guard node != 0 else { return }
            level += 1
            if node & TokenTree.leaves != 0 {
                if level == tokens.count { body(node & ~TokenTree.leaves) }
                return
            }
        }
    }

    private mutating func allocate() -> UInt32 {
        guard free != 0 else {
            nodes.append(Node())
            return UInt32(nodes.count - 1)
        }
        let node = free
        free = nodes[node].star
        nodes[node] = Node()
        return node
    }

    /// Walks the tokens of a filter until the body returns false.
    private static func steps(_ filter: TopicFilter, _ body: (_ step: Step, _ isLast: Bool) -> Bool) {
        let bytes = filter.text.utf8.span
        var hash = StableHash()
        var start = 0
        for index in 0...bytes.count {
            let isLast = index == bytes.count
            guard isLast || bytes[index] == UInt8(ascii: ".") else {
                hash.combine(bytes[index])
                continue
            }
            let step: Step =
                switch index - start == 1 ? bytes[start] : 0 {
                case UInt8(ascii: "*"): .star
                case UInt8(ascii: ">"): .tail
                default: .literal(hash.value)
                }
            guard body(step, isLast) else { return }
            hash = StableHash()
            start = index + 1
        }
    }

    /// The hashes of the tokens of a topic, computed once per look-up and without a `String` per token.
    private struct Tokens: ~Copyable {
        var hashes = InlineArray<32, UInt64>(repeating: 0)  // as many as a topic may have tokens
        var count = 0

        init(_ topic: Topic) {
            let bytes = topic.text.utf8.span
            var hash = StableHash()
            for index in bytes.indices {
                if bytes[index] == UInt8(ascii: ".") {
                    hashes[count] = hash.value
                    count += 1
                    hash = StableHash()
                } else {
                    hash.combine(bytes[index])
                }
            }
            hashes[count] = hash.value
            count += 1
        }
    }
}
