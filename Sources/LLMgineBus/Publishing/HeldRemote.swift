import LLMgineCore
import LLMgineFlow
import Synchronization

/// A link that did not take an event at once.
///
/// All that hold one event back are noted when it is first offered to them, and waited for one after the other: so their deadlines run at the same time, and
/// the publisher waits no longer than for the longest of them, unless one has had room meanwhile and is full again.
struct HeldRemote {
    let remote: any RemoteRoute
    /// When it first did not take the event: the epoch of the hold's times.
    let since: ContinuousClock.Instant
    /// The subscriptions for whose room the publisher waits.
    private var hold = PublisherHold()

    init(_ remote: any RemoteRoute) {
        self.remote = remote
        since = .now
        _ = hold.end(of: remote.holders, at: .zero)
    }

    /// The publisher waits for this one now, and has just been turned away again.
    mutating func begin() { hold.begin(with: remote.holders, at: .now - since) }

    /// When the first of those who hold the publisher back now has had its time; nil if nobody does.
    mutating func end() -> ContinuousClock.Instant? {
        hold.end(of: remote.holders, at: .now - since).map { since.advanced(bySaturating: $0) }
    }

    /// Publishers no longer wait for those that have had their time. - Returns: their names.
    func demoteOverdue() -> [String] {
        let overdue = hold.overdue(remote.holders, at: .now - since)
        return overdue.isEmpty ? [] : remote.demote(overdue)
    }
}

/// When a queue of this node did not take an event at once: the same for the queues here.
struct HoldStart {
    private let instant = ContinuousClock.now
    private let finished: Int

    init(_ mailbox: Mailbox) { finished = mailbox.finished.load(ordering: .relaxed) }

    /// The publisher waits for this one now. - Returns: since when it has: a queue that has moved is another one than that which was full.
    func begin(_ mailbox: Mailbox) -> ContinuousClock.Instant {
        mailbox.finished.load(ordering: .relaxed) == finished ? instant : .now
    }
}

/// What became of an event that a link did not take at once.
enum HeldEnd {
    /// It has it, or its disk has refused it; the receipt says so.
    case counted
    /// It has been refused.
    case refused
    /// Nobody is there any more.
    case closed
    /// No link may carry it.
    case failed(LLMgineError)
}

/// The targets of one event that no link may carry it to, because they take less than others.
struct LinkFailures {
    private var count = 0
    private var last: LLMgineError?

    /// The receipt has counted the match.
    mutating func note(_ error: LLMgineError, _ receipt: inout PublishReceipt) {
        count += 1
        last = error
        receipt.rejected += 1
    }

    /// The receipt has counted the match.
    mutating func note(_ end: HeldEnd, _ receipt: inout PublishReceipt) {
        switch end {
        case .counted: break
        case .refused: receipt.rejected += 1
        case .closed: receipt.matched -= 1
        case .failed(let error): note(error, &receipt)
        }
    }

    /// - Throws: why, if there is nobody else.
    func check(_ receipt: PublishReceipt) throws(LLMgineError) {
        if let last, count == receipt.matched { throw last }
    }
}

extension MessageBus {
    /// Offers an event to all of the links, without waiting.
    ///
    /// One that may not carry it, because its peer takes less than others, has refused it like a subscription that does: the others get it.
    /// - Returns: those that did not take it; the receipt counts them as matches.
    func offer(
        _ message: Message, number: UInt64, to remotes: [any RemoteRoute], _ receipt: inout PublishReceipt, _ failures: inout LinkFailures
    ) -> [HeldRemote] {
        var held: [HeldRemote] = []
        for remote in remotes {
            receipt.matched += 1
            switch remote.offer(message, sequence: number) {
            case .failed(let error): failures.note(error, &receipt)
            case .full, .paced: held.append(HeldRemote(remote))
            case let offer: receipt.count(offer)
            }
        }
        return held
    }
}
