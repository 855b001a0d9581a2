import DequeModule

/// Events in the order of their coming, of which the newest of each key is kept.
///
/// An event takes the place of an older one of its key, and goes to the end of the line. An event without a key stands for itself.
package struct Conflation<Element: Sendable>: Sendable {
    private struct Entry: Sendable {
        let key: String?
        /// Nil once it is superseded.
        var element: Element?
    }

    private var entries: Deque<Entry> = []
    /// Where the newest of each key stands, counted from the first entry that there ever was.
    private var places: [String: Int] = [:]
    private var removed = 0
    /// How many events wait.
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    /// The oldest.
    package var first: Element? { entries.first?.element }

    /// Puts an event at the end. - Returns: the one that it supersedes.
    package mutating func append(_ element: Element, key: String?) -> Element? {
        var older: Element?
        if let key {
            if let place = places[key] {
                older = entries[place - removed].element
                entries[place - removed].element = nil
                count -= 1
            }
            places[key] = removed + entries.count
        }
        entries.append(Entry(key: key, element: element))
        count += 1
        dropSuperseded()
        if entries.count > 2 * count + 32 { compact() }
        return older
    }

    /// Takes out the oldest.
    package mutating func popFirst() -> Element? {
        guard let entry = entries.popFirst() else { return nil }
        removed += 1
        count -= 1
        if let key = entry.key { places[key] = nil }
        dropSuperseded()
        return entry.element
    }

    /// All that wait, the oldest first.
    package var elements: [Element] { entries.compactMap(\.element) }

    /// The first entry is always one that waits.
    private mutating func dropSuperseded() {
        while let first = entries.first, first.element == nil {
            entries.removeFirst()
            removed += 1
        }
    }

    private mutating func compact() {
        entries.removeAll { $0.element == nil }
        removed = 0
        for (place, entry) in entries.enumerated() {
            if let key = entry.key { places[key] = place }
        }
    }
}
