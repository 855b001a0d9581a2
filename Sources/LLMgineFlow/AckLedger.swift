/// What the subscriber's end of one flow and class says it has dealt with: everything up to a point, and ranges beyond it.
///
/// Ordinals count the messages of the flow and class that came over one link, from 0. They need not travel: both ends count the same messages
/// in the same order.
package struct Acknowledgement: Sendable, Hashable {
    /// Everything below it is settled.
    package var upTo: UInt64
    /// What is settled beyond it, ascending, apart from each other and from `upTo`.
    package var beyond: [Range<UInt64>]

    package init(upTo: UInt64, beyond: [Range<UInt64>] = []) {
        self.upTo = upTo
        self.beyond = beyond
    }
}

/// Collects what was settled at the subscriber's end of one flow and class, since the start of one link.
package struct AckLedger: Sendable, Hashable {
    /// The most ranges that one acknowledgement names. Those further on are said when the first have closed up.
    package static let maximumRanges = 64

    /// Messages that came.
    package private(set) var arrived: UInt64 = 0
    /// Everything below it is settled.
    package private(set) var upTo: UInt64 = 0
    private var beyond: [Range<UInt64>] = []
    /// Messages that were settled since the last acknowledgement.
    package private(set) var unsaid = 0

    package init() {}

    /// A message came. - Returns: its ordinal.
    package mutating func noteArrival() -> UInt64 {
        defer { arrived += 1 }
        return arrived
    }

    /// A message was processed, or given up for good. Once more changes nothing.
    package mutating func settled(_ ordinal: UInt64) {
        guard ordinal >= upTo, ordinal < arrived else { return }
        let place = beyond.firstIndex { $0.upperBound > ordinal } ?? beyond.count
        if place < beyond.count, beyond[place].contains(ordinal) { return }
        unsaid += 1
        guard ordinal != upTo else {
            upTo += 1
            if beyond.first?.lowerBound == upTo { upTo = beyond.removeFirst().upperBound }
            return
        }
        let joinsLast = place > 0 && beyond[place - 1].upperBound == ordinal
        let joinsNext = place < beyond.count && beyond[place].lowerBound == ordinal + 1
        switch (joinsLast, joinsNext) {
        case (true, true):
            beyond[place - 1] = beyond[place - 1].lowerBound..<beyond[place].upperBound
            beyond.remove(at: place)
        case (true, false): beyond[place - 1] = beyond[place - 1].lowerBound..<ordinal + 1
        case (false, true): beyond[place] = ordinal..<beyond[place].upperBound
        case (false, false): beyond.insert(ordinal..<ordinal + 1, at: place)
        }
    }

    /// What is to be said now, nil if everything has been.
    package mutating func take() -> Acknowledgement? {
        guard unsaid > 0 else { return nil }
        unsaid = 0
        return Acknowledgement(upTo: upTo, beyond: Array(beyond.prefix(AckLedger.maximumRanges)))
    }
}
