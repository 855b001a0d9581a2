import HeapModule

/// Deadlines in the order in which they pass, equal ones in the order of their requests. What was taken away meanwhile comes out all the same;
/// whoever asks checks.
struct DeadlineHeap: Sendable {
    struct Item: Sendable, Comparable {
        let deadline: Duration
        let request: UInt64

        static func < (one: Item, other: Item) -> Bool {
            one.deadline != other.deadline ? one.deadline < other.deadline : one.request < other.request
        }
    }

    private var heap = Heap<Item>()

    var count: Int { heap.count }
    var first: Item? { heap.min }

    init() {}
    init(_ items: [Item]) { heap = Heap(items) }

    mutating func insert(_ item: Item) { heap.insert(item) }

    /// Takes out the next one whose deadline has passed.
    mutating func next(passedAt now: Duration) -> Item? {
        guard let first = heap.min, first.deadline <= now else { return nil }
        return heap.removeMin()
    }
}
