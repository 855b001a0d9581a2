import HeapModule

/// What is going to happen, the earliest first; of the same time, in the order of its planning.
struct Calendar {
    struct Entry: Comparable {
        let at: Int64
        let order: UInt64
        let node: SimulatedNode?
        let action: () -> Void

        static func < (one: Entry, other: Entry) -> Bool { one.at != other.at ? one.at < other.at : one.order < other.order }
        static func == (one: Entry, other: Entry) -> Bool { one.order == other.order }
    }

    private var heap = Heap<Entry>()
    private var order: UInt64 = 0

    mutating func add(at time: Int64, _ node: SimulatedNode?, _ action: @escaping () -> Void) {
        order += 1
        heap.insert(Entry(at: time, order: order, node: node, action: action))
    }

    mutating func takeFirst(until end: Int64) -> Entry? {
        guard let first = heap.min, first.at <= end else { return nil }
        return heap.removeMin()
    }
}
