package import LLMgineCore

/// What a subscriber has granted one publisher on one flow in one class, and what came of it.
///
/// The *window* is how much may be under way or queued at once. It starts with the flow's exclusive share, and a publisher that says it is
/// blocked widens it, four times or to what it says is waiting, up to the target; an idle flow gives the wider window back. A grant is owed once half
/// of what was granted last is dealt with, so a busy link carries one GRANT per half window and not one per message; or at once to a
/// publisher that is blocked. Every grant is paid for out of the node's ``CreditBudget`` before it is given.
package struct CreditLedger: Sendable, Hashable {
    /// The most that the window may be.
    package let target: Credit
    /// The limits granted so far, since the start of the link. They only grow.
    package private(set) var granted: Credit
    /// What arrived.
    package private(set) var received = Credit.none
    /// What was dealt with.
    package private(set) var consumed = Credit.none
    /// How much may be under way or queued at once if the budget allows.
    package private(set) var window: Credit

    /// The exclusive share of the budget that covers the first of what is held; nothing for a flow that started cold.
    private var exclusive: UInt64
    /// What of the floating part is counted for this account. More than it needs, between two grants.
    private var floating: UInt64 = 0
    /// What was dealt with at the last grant, and how much more must be before the next.
    private var refill: Credit
    /// The limits without which the publisher cannot send its next message, as far as they could not be granted.
    private var wanted: Credit?
    private var isClosed = false
    private var idleTicks = 0
    private var receivedBefore = Credit.none
    private var awaitsDrained = false

    /// Starts with the exclusive share granted.
    /// - Parameters:
    ///   - target: the most that the window may be.
    ///   - isCold: whether the budget had no exclusive share left.
    package init(target: Credit, isCold: Bool = false) {
        self.target = target
        granted = isCold ? .none : CreditLedger.firstWindow(target)
        window = granted
        exclusive = isCold ? 0 : CreditLedger.share(target)
        refill = .none
        setRefill()
    }

    /// The exclusive window of one class of a flow: no more than the target.
    package static func firstWindow(_ target: Credit) -> Credit {
        Credit(
            messages: min(target.messages, CreditBudget.exclusive.messages), bytes: min(target.bytes, CreditBudget.exclusive.bytes))
    }

    /// What that counts for.
    package static func share(_ target: Credit) -> UInt64 { CreditBudget.charge(firstWindow(target)) }

    /// Counts what arrived.
    /// - Throws: `creditOverdrawn` if it is more than was granted: the peer breaks the protocol.
    package mutating func received(messages: Int, bytes: Int) throws(LLMgineError) {
        received.messages &+= UInt64(max(0, messages))
        received.bytes &+= UInt64(max(0, bytes))
        if isClosed { granted = received }  // it was on its way when the subscription ended
        guard received.messages <= granted.messages, received.bytes <= granted.bytes else {
            throw LLMgineError(
                .creditOverdrawn,
                "the peer sent \(received.messages) messages of \(received.bytes) bytes, granted were \(granted.messages) of \(granted.bytes)"
            )
        }
    }

    /// Whether so much waits that what comes now will lie here for a while: more than 16 messages.
    package var isBehind: Bool { received.messages > consumed.messages &+ 16 }

    /// Counts what was dealt with. - Returns: whether it is time for ``refilled(from:)``.
    package mutating func consumed(messages: Int, bytes: Int) -> Bool {
        consumed.messages &+= UInt64(max(0, messages))
        consumed.bytes &+= UInt64(max(0, bytes))
        return consumed.messages >= refill.messages || consumed.bytes >= refill.bytes
    }

    /// The publisher says that it cannot go on.
    /// - Parameters:
    ///   - at: what it has sent.
    ///   - next: payload bytes of its next message.
    ///   - waiting: what waits there.
    /// - Throws: `creditOverdrawn` if it has sent more than it was granted.
    package mutating func blocked(at sent: Credit, next: UInt64, waiting: Credit) throws(LLMgineError) {
        guard !isClosed else { return }
        guard sent.messages <= granted.messages, sent.bytes <= granted.bytes else {
            throw LLMgineError(.creditOverdrawn, "the peer says that it sent more than it was granted")
        }
        let next = min(next, target.bytes)
        wanted = Credit(messages: sent.messages + 1, bytes: sent.bytes + next)
        window.messages = min(target.messages, max(min(window.messages, target.messages / 4) * 4, window.messages, waiting.messages, 1))
        window.bytes = min(target.bytes, max(min(window.bytes, target.bytes / 4) * 4, window.bytes, waiting.bytes, next))
        idleTicks = 0
    }

    // MARK: Grants

    /// What came of an attempt to grant more.
    package struct Refill: Sendable, Hashable {
        /// The new limits, nil if they are the old ones.
        package var grant: Credit?
        /// How much more the account would have to hold for the publisher's next message, if it could not have that.
        package var lacks: UInt64?

        package init(grant: Credit? = nil, lacks: UInt64? = nil) {
            self.grant = grant
            self.lacks = lacks
        }
    }

    /// Gives back what was dealt with, and grants as much of the window as the budget allows.
    /// - Parameter isFirst: whether the account is the first in line of those that lack room.
    package mutating func refilled(from budget: inout CreditBudget, isFirst: Bool = false) -> Refill {
        defer { settle(with: &budget) }
        guard !isClosed else { return Refill() }
        settle(with: &budget)
        let held = granted.beyond(consumed)
        var least = held
        if let wanted {
            let beyond = wanted.beyond(consumed)
            // What is past the target waits for the handler and not for memory: until half of what was granted is dealt with, or all that was sent.
            guard beyond.messages <= max(target.messages, held.messages), beyond.bytes <= max(target.bytes, held.bytes) else {
                refill.messages = min(refill.messages, wanted.messages - 1)
                return Refill()
            }
            least = Credit(messages: max(least.messages, beyond.messages), bytes: max(least.bytes, beyond.bytes))
        }
        let needs = CreditBudget.charge(least)
        let ceiling = exclusive + budget.ceiling(holding: floating, needs: needs - min(needs, exclusive), isFirst: isFirst)
        setRefill()
        guard needs <= ceiling else { return Refill(lacks: needs - exclusive - floating) }  // less would be of no use to the publisher
        let isAsked = wanted != nil  // whoever asks gets an answer, be it what is on its way already
        wanted = nil
        let room = CreditLedger.room(within: ceiling, of: window, atLeast: least)
        let limit = Credit(messages: consumed.messages + room.messages, bytes: consumed.bytes + room.bytes)
        guard limit != granted || isAsked else { return Refill() }
        granted = limit
        setRefill()
        return Refill(grant: limit)
    }

    /// As much of a window as so many bytes of the budget pay for: half of them for the number of messages at most, the rest for their payload.
    private static func room(within ceiling: UInt64, of window: Credit, atLeast least: Credit) -> Credit {
        let charge = CreditBudget.charge(least)
        guard charge < ceiling else { return least }
        let each = CreditBudget.messageBytes
        let affordable = (ceiling - least.bytes) / each
        let messages = max(least.messages, min(window.messages, max(least.messages, ceiling / 2 / each), affordable))
        let bytes = max(least.bytes, min(window.bytes, ceiling - messages * each))
        return Credit(messages: messages, bytes: bytes)
    }

    /// Counts what is held now, and no more, in the budget.
    private mutating func settle(with budget: inout CreditBudget) {
        let held = CreditBudget.charge(granted.beyond(consumed))
        let now = held - min(held, exclusive)
        budget.changed(from: floating, to: now)
        floating = now
    }

    private mutating func setRefill() {
        let held = granted.beyond(consumed)
        refill = Credit(messages: consumed.messages + max(1, held.messages / 2), bytes: consumed.bytes + max(1, held.bytes / 2))
    }

    // MARK: Idle flows

    /// Time has passed. - Returns: whether the publisher is to give back what it was granted and does not use.
    package mutating func ticked(idleAfter ticks: Int, in budget: inout CreditBudget) -> Bool {
        settle(with: &budget)
        guard !isClosed, !awaitsDrained, wanted == nil else { return false }
        guard received == receivedBefore, received == consumed else {
            receivedBefore = received
            idleTicks = 0
            return false
        }
        idleTicks += 1
        guard idleTicks >= ticks, floating > 0 else { return false }
        awaitsDrained = true
        return true
    }

    /// The publisher has given back what it did not use: it counts as sent and dealt with. The window is the first one again.
    /// - Parameter limit: what the publisher now counts as sent.
    /// - Throws: `creditOverdrawn` if that is more than it was granted, `malformedFrame` if it is less than it has sent, or nobody had asked.
    package mutating func drained(at limit: Credit) throws(LLMgineError) {
        guard !isClosed else { return }
        guard awaitsDrained else { throw LLMgineError(.malformedFrame, "DRAINED, where no DRAIN was sent") }
        guard limit.messages <= granted.messages, limit.bytes <= granted.bytes else {
            throw LLMgineError(.creditOverdrawn, "the peer gives back more than it was granted")
        }
        guard limit.messages >= received.messages, limit.bytes >= received.bytes else {
            throw LLMgineError(.malformedFrame, "DRAINED counts less than what has come")
        }
        awaitsDrained = false
        idleTicks = 0
        consumed.messages += limit.messages - received.messages
        consumed.bytes += limit.bytes - received.bytes
        received = limit
        window = exclusive > 0 ? CreditLedger.firstWindow(target) : .none
    }

    // MARK: The end

    /// Nothing more comes, since the link or the subscription is over: what was granted and not used is free again. What is queued is held until it is
    /// dealt with, through ``refilled(from:)`` as before.
    package mutating func closed(in budget: inout CreditBudget) {
        guard !isClosed else { return }
        isClosed = true
        wanted = nil
        granted = received
        budget.close(exclusive)
        exclusive = 0
        settle(with: &budget)
        refill = .none  // each message that is dealt with frees its room
    }

    /// The account is forgotten, with whatever it holds.
    package mutating func forgotten(in budget: inout CreditBudget) {
        closed(in: &budget)
        budget.changed(from: floating, to: 0)
        floating = 0
    }

    // MARK: For those who look

    /// What is queued or being handled.
    package var queued: Credit { received.beyond(consumed) }

    /// What the publisher may still send.
    package var outstanding: Credit { granted.beyond(received) }

    /// What the account counts for in the budget: never less than what is granted or queued.
    package var held: UInt64 { exclusive + floating }

    /// Whether the publisher waits for more than could be granted.
    package var isStarved: Bool { wanted != nil }
}
