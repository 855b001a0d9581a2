package import LLMgineCore

/// What a publisher's node keeps for one subscription until it is acknowledged, by class, in the order in which it was published.
///
/// An item is *unsent*, then *sent*, then *settled*. When the link breaks, all that is not settled is unsent again: order is kept because it
/// goes out anew from the oldest on. What is settled out of order leaves a gap that takes no room, until all before it is settled too.
package struct RetransmitWindow<Item: Sendable>: Sendable {
    /// How much may be kept, over all classes.
    package struct Limits: Sendable, Hashable {
        package var messages: Int
        package var bytes: Int
        package init(messages: Int = 8192, bytes: Int = 8 << 20) {
            self.messages = messages
            self.bytes = bytes
        }
    }

    private struct Entry {
        /// Nil once it is settled.
        var item: Item?
        let bytes: Int
    }

    private struct Lane {
        private(set) var entries: [Entry] = []
        /// Entries before it are gone.
        private(set) var head = 0
        /// The ordinal of the entry at `head` on the present link.
        private(set) var base: UInt64 = 0
        /// How many from `head` on were sent over it.
        var sent = 0

        var isEmpty: Bool { head == entries.count }
        var unsent: Item? { head + sent < entries.count ? entries[head + sent].item : nil }

        mutating func append(_ entry: Entry) { entries.append(entry) }

        /// Settles one. - Returns: what it was, nil if it had been settled.
        mutating func settle(_ ordinal: UInt64) -> Entry? {
            let index = head + Int(ordinal - base)
            guard entries[index].item != nil else { return nil }
            defer { entries[index].item = nil }
            return entries[index]
        }

        /// Lets go of what is settled at the head.
        mutating func advance() {
            while sent > 0, entries[head].item == nil {
                head += 1
                base += 1
                sent -= 1
            }
            guard head >= 64, head * 2 >= entries.count else { return }
            entries.removeFirst(head)
            head = 0
        }

        mutating func removeUnsent() -> Entry? {
            head + sent < entries.count ? entries.remove(at: head + sent) : nil
        }

        mutating func restart() {
            entries = entries[head...].filter { $0.item != nil }
            head = 0
            base = 0
            sent = 0
        }

        mutating func removeAll() -> [Item] {
            defer { self = Lane() }
            return entries[head...].compactMap(\.item)
        }
    }

    package let limits: Limits
    private var lanes = [Lane](repeating: Lane(), count: 4)
    /// What is not settled.
    package private(set) var messages = 0
    /// The bytes of it.
    package private(set) var bytes = 0

    package init(limits: Limits = Limits()) { self.limits = limits }

    package var isEmpty: Bool { messages == 0 }

    /// Whether one more of so many bytes has room. An empty window takes any one.
    package func hasRoom(for bytes: Int) -> Bool {
        messages < limits.messages && (messages == 0 || self.bytes + bytes <= limits.bytes)
    }

    /// Whether it is down to half: publishers that were turned away are called back no sooner, so that they do not come one by one.
    package var isHalfEmpty: Bool { messages <= limits.messages / 2 && bytes <= limits.bytes / 2 }

    /// Keeps an item, whether there is room or not: whoever must not exceed the limits asks first.
    package mutating func append(_ item: Item, bytes: Int, priority: Priority) {
        lanes[Int(priority.rawValue)].append(Entry(item: item, bytes: bytes))
        messages += 1
        self.bytes += bytes
    }

    /// The next item of a class to send.
    package func unsent(_ priority: Priority) -> Item? { lanes[Int(priority.rawValue)].unsent }

    /// It was sent.
    package mutating func noteSent(_ priority: Priority) {
        precondition(lanes[Int(priority.rawValue)].unsent != nil, "nothing was there to send")
        lanes[Int(priority.rawValue)].sent += 1
    }

    /// The next item to send need not be sent any more.
    package mutating func removeUnsent(_ priority: Priority) -> Item? {
        guard let entry = lanes[Int(priority.rawValue)].removeUnsent() else { return nil }
        count(entry)
        return entry.item
    }

    /// The subscriber has settled some of what was sent over this link. - Returns: what those were, in order.
    /// - Throws: `malformedFrame` if they were never sent; nothing has changed then.
    package mutating func acknowledged(_ ack: Acknowledgement, priority: Priority) throws(LLMgineError) -> [Item] {
        let index = Int(priority.rawValue)
        let base = lanes[index].base
        let end = base + UInt64(lanes[index].sent)
        guard ack.upTo <= end, ack.beyond.allSatisfy({ $0.upperBound <= end }) else {
            throw LLMgineError(.malformedFrame, "the peer acknowledges messages that were not sent to it")
        }
        var settled: [Item] = []
        for range in [base..<max(base, ack.upTo)] + ack.beyond {
            for ordinal in range.clamped(to: base..<end) {
                guard let entry = lanes[index].settle(ordinal) else { continue }
                count(entry)
                if let item = entry.item { settled.append(item) }
            }
        }
        lanes[index].advance()
        return settled
    }

    /// The link is gone: what is not settled is to be sent over the next, from the oldest on.
    package mutating func restart() {
        for index in 0..<4 { lanes[index].restart() }
    }

    /// Takes everything out that is not settled, the most urgent class first.
    package mutating func removeAll() -> [Item] {
        var items: [Item] = []
        for index in 0..<4 { items += lanes[index].removeAll() }
        messages = 0
        bytes = 0
        return items
    }

    private mutating func count(_ gone: Entry) {
        guard gone.item != nil else { return }
        messages -= 1
        bytes -= gone.bytes
    }
}
