import LLMgineCore
import LLMgineRouting
import Synchronization

/// One durable event on its way: into the journal, then to all that it matched.
///
/// Who must have it is decided before it is written, so a subscription that ends while the disk is at work has it still: the next of its name gets it.
final class DurablePublish {
    private let message: Message
    private let id: MessageID
    private let route: Route
    private let bus: MessageBus
    private let journal: JournalDesk
    private let encoded: EncodedMessage
    private let extras: MessageExtras?
    private var receipt: PublishReceipt
    private var failures = LinkFailures()
    /// Obligations whose copy nobody has yet, one a copy.
    private var open: [String] = []

    init(_ message: Message, _ id: MessageID, along route: Route, on bus: MessageBus, _ journal: JournalDesk) {
        self.message = message
        self.id = id
        self.route = route
        self.bus = bus
        self.journal = journal
        encoded = EncodedMessage(message)
        extras = MessageExtras(headers: message.headers, trace: message.trace, timeToLive: message.timeToLive)
        receipt = PublishReceipt(id: id)
    }

    /// - Throws: whatever a publish throws. The journal does not keep the event then for those that have not got it.
    func run() async throws(LLMgineError) -> PublishReceipt {
        open = obligations
        if !open.isEmpty { try await journal.append(message, id, for: open) }
        do throws(LLMgineError) { try await send() } catch {
            for obligation in open { journal.settled(id.sequence, obligation: obligation) }
            throw error
        }
        return receipt
    }

    /// Who must have the event before the journal may forget it.
    private var obligations: [String] {
        locals.compactMap { $0.obligation(on: bus.node) } + route.remotes.compactMap(\.obligation)
            + route.groups.compactMap { $0.obligation(for: message, on: bus.node) }
    }

    private var locals: [AnySubscriber] { route.locals.filter { $0.takes(eventType: message.eventType) } }

    /// All that have room first, so that nobody waits for those that have none.
    private func send() async throws(LLMgineError) {
        var full: [(LocalCopy, since: HoldStart)] = []
        var stages = route.isStaged ? HandlerStages(of: bus) : nil
        for subscriber in locals {
            let copy = localCopy(for: subscriber, at: stages?.place(for: subscriber))
            if !offer(copy) { full.append((copy, since: HoldStart(subscriber.mailbox))) }
        }
        receipt.matched += full.count
        var heldRemotes: [HeldRemote] = []
        for remote in route.remotes {
            let before = receipt
            let held = bus.offer(message, number: id.sequence, to: [remote], &receipt, &failures)
            if held.isEmpty { note(since: before, remote.obligation) } else { heldRemotes += held }
        }
        var heldGroups: [(GroupPublish, obligation: String?)] = []
        for group in route.groups {
            let (before, obligation) = (receipt, group.obligation(for: message, on: bus.node))
            var publish = groupPublish(as: obligation)
            if publish.offer(to: group, &receipt, &failures) {
                note(since: before, obligation)
            } else {
                heldGroups.append((publish, obligation))
            }
        }
        for held in heldRemotes {
            let before = unmatched
            failures.note(try await bus.insist(on: held, message, id.sequence, &receipt), &receipt)
            note(since: before, held.remote.obligation)
        }
        for (var publish, obligation) in heldGroups {
            let before = unmatched
            try await publish.insist(on: bus, &receipt, &failures)
            note(since: before, obligation)
        }
        for (copy, since) in full { try await insist(on: copy, since: since) }
        try failures.check(receipt)
    }

    /// With copies that the journal keeps for the group, if it does.
    private func groupPublish(as obligation: String?) -> GroupPublish {
        guard let obligation else { return GroupPublish(encoded, over: message, number: id.sequence, extras: extras) }
        return GroupPublish(encoded, over: message, number: id.sequence, extras: extras) { [late, journal] in
            $0.offer(kept: late, for: obligation, by: journal, at: nil)
        }
    }

    /// The receipt without the match that is insisted on, which it counts already.
    private var unmatched: PublishReceipt {
        var receipt = receipt
        receipt.matched -= 1
        return receipt
    }

    // MARK: Subscriptions of this node

    /// What one subscription of this node gets.
    private struct LocalCopy {
        let subscriber: AnySubscriber
        let obligation: String?
        let offer: () -> SubscriberOffer
    }

    private func localCopy(for subscriber: AnySubscriber, at place: StagePlace?) -> LocalCopy {
        guard let obligation = subscriber.obligation(on: bus.node) else {
            let extras =
                place.map {
                    MessageExtras(headers: message.headers, trace: message.trace, timeToLive: message.timeToLive, place: $0)
                } ?? extras
            return LocalCopy(subscriber: subscriber, obligation: nil) { [encoded, id] in
                subscriber.mailbox.offer(encoded, sequence: id.sequence, extras: extras)
            }
        }
        return LocalCopy(subscriber: subscriber, obligation: obligation) { [late, journal] in
            subscriber.offer(kept: late, for: obligation, by: journal, at: place)
        }
    }

    private var late: JournalDesk.Late { JournalDesk.Late(id: id, message: message, sequence: id.sequence) }

    /// - Returns: false if there is no room.
    private func offer(_ copy: LocalCopy) -> Bool {
        let offer = copy.offer()
        if case .full = offer { return false }
        receipt.count(offer)
        switch offer {
        case .accepted, .full: handedOn(copy.obligation)
        case .rejected: refused(copy.obligation)
        case .closed: gone(copy.obligation)
        }
        return true
    }

    private func insist(on copy: LocalCopy, since start: HoldStart) async throws(LLMgineError) {
        let before = unmatched
        try await bus.insist(on: copy.subscriber, since: start, &receipt, copy.offer) {
            SpillCopy(message: encoded, sequence: id.sequence, extras: extras)
        } refused: {
            copy.subscriber.keep(refused: message, id)
        }
        note(since: before, copy.obligation)
    }

    // MARK: The journal

    private func note(since before: PublishReceipt, _ obligation: String?) {
        if receipt.matched == before.matched { return gone(obligation) }
        if receipt.rejected > before.rejected { refused(obligation) } else { handedOn(obligation) }
    }

    /// Whoever has the copy now settles it.
    private func handedOn(_ obligation: String?) {
        if let index = obligation.flatMap({ open.firstIndex(of: $0) }) { open.remove(at: index) }
    }

    /// The receipt says so.
    private func refused(_ obligation: String?) {
        handedOn(obligation)
        if let obligation { journal.settled(id.sequence, obligation: obligation) }
    }

    /// The subscription has ended since. Under its name it may come back.
    private func gone(_ obligation: String?) {
        handedOn(obligation)
        if let obligation { journal.giveBack(late, obligation) }
    }
}
