/// The literal branches of the whole trie: from (node, hash of a token) to the child node.
///
/// Extendible hashing: a directory indexed by the top bits of the hash leads to pages of at most 1024 slots that split one at a time. So no
/// insert ever rehashes the whole table, and a snapshot shares every page that was not touched since.
struct EdgeTable: Sendable {
    private struct Slot: Sendable {
        var token: UInt64 = 0
        var parent: UInt32 = 0
        var child: UInt32 = 0  // 0: the slot is free, since the root is nobody's child, and leaves have a bit of their own
    }

    private struct Page: Sendable {
        /// How many top bits of the hash all slots of this page share.
        var depth: Int
        var count = 0
        var slots: [Slot]

        init(depth: Int, slots: Int) {
            self.depth = depth
            self.slots = Array(repeating: Slot(), count: slots)
        }

        var isFull: Bool { count * 4 >= slots.count * 3 }

        mutating func insert(_ slot: Slot, hash: UInt64) {
            var at = Int(truncatingIfNeeded: hash) & (slots.count - 1)
            while slots[at].child != 0 { at = (at + 1) & (slots.count - 1) }
            slots[at] = slot
            count += 1
        }

        mutating func grow() {
            var grown = Page(depth: depth, slots: slots.count * 2)
            for slot in slots where slot.child != 0 { grown.insert(slot, hash: EdgeTable.hash(slot.parent, slot.token)) }
            self = grown
        }
    }

    private static let slotsBeforeSplit = 1024
    /// Past this depth pages grow instead of splitting, so that equal hashes cannot double the directory for ever.
    private static let maximumDepth = 16

    private var depth = 0
    private var directory: [UInt32] = [0]
    private var pages = [Page(depth: 0, slots: 16)]

    /// The child of a node under a token, 0 if there is none.
    func child(of parent: UInt32, token: UInt64) -> UInt32 {
        let hash = EdgeTable.hash(parent, token)
        let slots = pages[Int(directory[place(hash)])].slots
        let mask = slots.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while true {
            let slot = slots[at]
            if slot.child == 0 || (slot.token == token && slot.parent == parent) { return slot.child }
            at = (at + 1) & mask
        }
    }

    /// Adds a branch that is not there yet.
    mutating func insert(_ child: UInt32, of parent: UInt32, token: UInt64) {
        let hash = EdgeTable.hash(parent, token)
        while pages[Int(directory[place(hash)])].isFull { makeRoom(hash) }
        pages[Int(directory[place(hash)])].insert(Slot(token: token, parent: parent, child: child), hash: hash)
    }

    /// Lets a branch that is there lead elsewhere.
    mutating func update(_ child: UInt32, of parent: UInt32, token: UInt64) {
        guard let (page, slot) = find(of: parent, token: token) else { return }
        pages[page].slots[slot].child = child
    }

    /// Takes a branch out, closing the gap in its probe sequence.
    mutating func remove(of parent: UInt32, token: UInt64) {
        guard let (page, found) = find(of: parent, token: token) else { return }
        var gap = found
        let mask = pages[page].slots.count - 1
        var next = (gap + 1) & mask
        while pages[page].slots[next].child != 0 {
            let slot = pages[page].slots[next]
            let home = Int(truncatingIfNeeded: EdgeTable.hash(slot.parent, slot.token)) & mask
            if (next - home) & mask >= (next - gap) & mask {
                pages[page].slots[gap] = slot
                gap = next
            }
            next = (next + 1) & mask
        }
        pages[page].slots[gap] = Slot()
        pages[page].count -= 1
    }

    private func find(of parent: UInt32, token: UInt64) -> (page: Int, slot: Int)? {
        let hash = EdgeTable.hash(parent, token)
        let page = Int(directory[place(hash)])
        let mask = pages[page].slots.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while pages[page].slots[at].child != 0 {
            let slot = pages[page].slots[at]
            if slot.token == token, slot.parent == parent { return (page, at) }
            at = (at + 1) & mask
        }
        return nil
    }

    private func place(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> UInt64(64 - depth)) }

    private mutating func makeRoom(_ hash: UInt64) {
        let page = Int(directory[place(hash)])
        guard pages[page].slots.count >= EdgeTable.slotsBeforeSplit, pages[page].depth < EdgeTable.maximumDepth else {
            pages[page].grow()
            return
        }
        if pages[page].depth == depth {
            directory = directory.flatMap { [$0, $0] }
            depth += 1
        }
        split(page, hash)
    }

    private mutating func split(_ page: Int, _ hash: UInt64) {
        let old = pages[page]
        var low = Page(depth: old.depth + 1, slots: old.slots.count)
        var high = low
        for slot in old.slots where slot.child != 0 {
            let hash = EdgeTable.hash(slot.parent, slot.token)
            if hash >> UInt64(63 - old.depth) & 1 == 0 { low.insert(slot, hash: hash) } else { high.insert(slot, hash: hash) }
        }
        pages[page] = low
        pages.append(high)
        // The directory entries of the old page are one run; its upper half has the next bit set.
        let run = 1 << (depth - old.depth)
        let start = place(hash) & ~(run - 1)
        for index in (start + run / 2)..<(start + run) { directory[index] = UInt32(pages.count - 1) }
    }

    private static func hash(_ parent: UInt32, _ token: UInt64) -> UInt64 {
        var hash = token ^ (UInt64(parent) &* 0x9e37_79b9_7f4a_7c15)
        hash = (hash ^ hash >> 32) &* 0xd6e8_feb8_6659_fd93
        hash = (hash ^ hash >> 32) &* 0xd6e8_feb8_6659_fd93
        return hash ^ hash >> 32
    }
}
