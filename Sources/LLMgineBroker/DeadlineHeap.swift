/// Deadlines in the order in which they pass: a binary heap. What was taken away meanwhile comes out all the same; whoever asks checks.
struct DeadlineHeap: Sendable {
    struct Item: Sendable {
        let deadline: Duration
        let request: UInt64
    }

    private var items: [Item] = []

    var count: Int { items.count }
    var first: Item? { items.first }

    init() {}

    init(_ items: [Item]) {
        // A sorted array is a heap.
        self.items = items.sorted { $0.deadline < $1.deadline }
    }

    mutating func insert(_ item: Item) {
        items.append(item)
        var child = items.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard items[child].deadline < items[parent].deadline else { return }
            items.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes out the next one whose deadline has passed.
    mutating func next(passedAt now: Duration) -> Item? {
        guard let first = items.first, first.deadline <= now else { return nil }
        items.swapAt(0, items.count - 1)
        items.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < items.count && items[child].deadline < items[least].deadline {
                least = child
            }
            guard least != parent else { return first }
            items.swapAt(parent, least)
            parent = least
        }
    }
}
