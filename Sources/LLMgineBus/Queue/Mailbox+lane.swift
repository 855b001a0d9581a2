import LLMgineCore

// How a class's open chunk keeps its events.
extension Mailbox.Lane {
    mutating func put<Value: Sendable>(_ value: Value) {
        let slot = items.count
        if slot >= values.capacity { makeRoom(for: slot) }
        values.put(value, at: slot)
    }

    @inline(never)
    private mutating func makeRoom(for slot: Int) {
        let items = items
        values.grow(beyond: slot, keeping: head..<items.count) { Mailbox.Lane.holdsValue(items[$0]) }
    }

    mutating func append(_ item: consuming Mailbox.Item, topic: borrowing Topic, session: borrowing SessionID) {
        let last = runs.count - 1
        if last >= 0, runs[last].topic == topic, runs[last].session == session {
            items.append(item)
        } else {
            runs.append(Run(first: items.count, topic: copy topic, session: copy session))
            items.append(item)
        }
    }

    /// Forgets the oldest item; the arrays are compacted once half of them is gone, so that an eviction costs amortised constant time.
    mutating func dropHead() {
        items[head].body = .gap(0)
        items[head].extras = nil
        head += 1
        guard head >= 1024, head * 2 >= items.count else { return }
        let cut = head
        values.shift(down: cut, used: cut..<items.count) { Mailbox.Lane.holdsValue(items[$0]) }
        items.removeFirst(cut)
        var moved: ContiguousArray<Run> = []
        for run in runs {
            if run.first <= cut { moved.removeAll() }
            moved.append(Run(first: max(0, run.first - cut), topic: run.topic, session: run.session))
        }
        runs = moved
        head = 0
        removed += cut
    }

    /// The place of the next event, counted from the beginning of the chunk.
    var end: Int { removed + items.count }

    /// Lets the event at a place go that was published on this node. False if there is none any more.
    mutating func remove(at place: Int) -> Bool {
        let index = place - removed
        guard index >= head, index < items.count else { return false }
        switch items[index].body {
        case .gap, .chunk: return false
        case .value: values.destroy(at: index)
        case .encoded: break
        }
        if index == head {
            missed &+= 1
            dropHead()
        } else {
            items[index].body = .gap(1)
            items[index].extras = nil
        }
        return true
    }

    /// Moves the events up so that at most one empty place is left between two of them. Places are counted anew.
    mutating func closeRanks() {
        var (write, gap, run) = (0, 0, 0)
        var renewed: ContiguousArray<Run> = []
        for read in head..<items.count {
            while run < runs.count, runs[run].first <= read {
                if let last = renewed.last, last.first == write { renewed.removeLast() }
                renewed.append(Run(first: write, topic: runs[run].topic, session: runs[run].session))
                run += 1
            }
            if case .gap(let count) = items[read].body {
                gap &+= count
                continue
            }
            if gap > 0 {
                items[write] = Mailbox.Item(body: .gap(gap), sequence: 0, extras: nil)
                write += 1
                gap = 0
            }
            guard write < read else {
                write += 1
                continue
            }
            if case .value = items[read].body { values.move(from: read, to: write) }
            items.swapAt(write, read)
            write += 1
        }
        items.removeSubrange(write...)
        if gap > 0 { items.append(Mailbox.Item(body: .gap(gap), sequence: 0, extras: nil)) }
        runs = renewed
        head = 0
        removed = 0
    }

    private static func holdsValue(_ item: Mailbox.Item) -> Bool {
        if case .value = item.body { return true }
        return false
    }
}
