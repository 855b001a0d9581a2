/// How much memory one node lets its peers fill, and who may promise how much of it.
///
/// Two parts. Each flow has a small *exclusive* share for as long as it is open, so that a flow that was quiet can begin at once; once half of the
/// budget is given out so, new flows start *cold*, with nothing, and their first message costs a round trip. Everything else *floats*: an
/// account may hold as much of it as is still free, so of k accounts that hold what they can get each has 1/(k+1), and as much is left for the
/// next (the dynamic threshold of Choudhury and Hahne). Only an account that needs room for one particular message may take all that is
/// free. Who cannot get even that waits in line, and what the first in line needs is kept for it.
///
/// What this node keeps for peers until they acknowledge it floats as well: all windows together have a quarter at most (``WindowLease``).
///
/// What is promised and what is queued count alike, message for message with ``messageBytes`` more than its payload: so whatever peers
/// do, what they have in this node's queues stays within ``bytes``.
package struct CreditBudget: Sendable, Hashable {
    /// What a message is counted with beside its payload: about what it takes in a queue.
    package static let messageBytes: UInt64 = 64
    /// The exclusive share of one class of a flow: 64 messages and 4 KiB.
    package static let exclusive = Credit(messages: 64, bytes: 4 << 10)

    /// The whole, in bytes.
    package let bytes: UInt64
    /// What open flows have to themselves, used or not.
    package private(set) var reserved: UInt64 = 0
    /// What accounts hold beyond that.
    package private(set) var floating: UInt64 = 0
    /// What of that is lent to windows of events that this node keeps for its peers.
    package private(set) var windows: UInt64 = 0
    /// What the first in line lacks: nobody else gets it.
    package var earmarked: UInt64 = 0

    package init(bytes: UInt64) { self.bytes = bytes }

    /// What a room of so many messages and bytes counts for.
    package static func charge(_ credit: Credit) -> UInt64 {
        let (messages, overflow) = credit.messages.multipliedReportingOverflow(by: messageBytes)
        let (sum, carry) = messages.addingReportingOverflow(credit.bytes)
        return overflow || carry ? .max : sum
    }

    /// What nobody holds.
    package var free: UInt64 { bytes - min(bytes, used) }

    /// What is promised or queued, or set aside for it.
    package var used: UInt64 { reserved + floating }

    /// A flow opens. - Returns: whether it has an exclusive share; if not, it starts cold.
    package mutating func open(_ share: UInt64) -> Bool {
        guard share <= free, reserved + share <= bytes / 2 else { return false }
        reserved += share
        return true
    }

    /// An exclusive share comes back.
    package mutating func close(_ share: UInt64) { reserved -= share }

    /// The most that an account may hold of the floating part, which holds some of it already.
    /// - Parameters:
    ///   - needs: what it must hold for its next message; it may have that if it is free at all.
    ///   - isFirst: whether it is the first in line, for which the earmarked part is kept.
    package func ceiling(holding held: UInt64, needs: UInt64, isFirst: Bool) -> UInt64 {
        let available = isFirst ? free : free - min(free, earmarked)
        return max((available + held) / 2, needs <= available + held ? needs : 0)
    }

    /// What windows may still have together: a quarter of the whole and 64 KiB, so that the largest message has room whatever the budget, and what
    /// peers send finds room however many of them do not acknowledge. Nothing of what is kept for the first in line.
    package var freeForWindows: UInt64 {
        let most = bytes / 4 + WindowLease.step
        return min(free - min(free, earmarked), most - min(most, windows))
    }

    /// A window that held some of the floating part now holds another amount.
    package mutating func windowChanged(from before: UInt64, to now: UInt64) {
        changed(from: before, to: now)
        windows = windows - before + now
    }

    /// An account that held some of the floating part now holds another amount.
    package mutating func changed(from before: UInt64, to now: UInt64) { floating = floating - before + now }
}
