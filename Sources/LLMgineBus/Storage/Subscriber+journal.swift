package import LLMgineCore
import LLMgineResilience
import Synchronization

import struct NIOCore.ByteBuffer

/// A journaled event on its way to a subscription of this node: a chunk of one that settles its obligation.
private final class KeptEvent: InboundChunk, CreditReturn {
    private let late: JournalDesk.Late
    private let obligation: String
    private let desk: JournalDesk
    private let unhandled: UnhandledEvents

    init(_ late: JournalDesk.Late, for obligation: String, _ unhandled: UnhandledEvents, _ desk: JournalDesk) {
        self.late = late
        self.obligation = obligation
        self.unhandled = unhandled
        self.desk = desk
        unhandled.keep(late.id)
    }

    var count: Int { 1 }
    var priority: Priority { late.message.priority }
    var node: NodeID { late.id.node }
    var incarnation: Incarnation { late.id.incarnation }
    var common: Message? { nil }
    func content(at index: Int) -> (payload: ByteBuffer, sequence: UInt64) { (late.message.payload, late.id.sequence) }
    func message(at index: Int) -> InboundMessage {
        InboundMessage(message: late.message, sequence: late.id.sequence, encodedBytes: late.message.payload.readableBytes)
    }

    func consumed(messages: Int, bytes: Int) {
        if unhandled.take(late.id) { desk.giveBack(late, obligation) } else { desk.settled(late.sequence, obligation: obligation) }
    }
}

extension AnySubscriber {
    /// What the subscription is called in a journal; nil for one that has nothing to do with journals.
    final func obligation(on node: NodeID) -> String? {
        guard unhandled != nil, options.relaysFor == nil else { return nil }
        if let group = options.group { return JournalName.group(group) }
        return options.name.map { JournalName.subscription($0, on: node) }
    }

    /// Queues a journaled event by the rules of the queue. It is settled when it is handled.
    final func offer(kept late: JournalDesk.Late, for obligation: String, by desk: JournalDesk, at place: StagePlace?) -> SubscriberOffer {
        guard let unhandled else { return .closed }
        let event = KeptEvent(late, for: obligation, unhandled, desk)
        let offer = mailbox.offer(InboundDelivery(chunk: event, credit: event, place: place))
        guard case .accepted = offer else {
            unhandled.dismiss(late.id)
            return offer
        }
        return offer
    }

    /// Queues what is left for the subscription, whether there is room or not.
    final func resume(on bus: MessageBus) {
        guard let desk = bus.journal, let unhandled, let obligation = obligation(on: bus.node) else { return }
        let late = bus.claimJournaled(obligation) { topic in options.receives?(topic) ?? bus.router.rules?.receive(topic) ?? true }
        for late in late {
            let event = KeptEvent(late, for: obligation, unhandled, desk)
            if mailbox.deliver(InboundDelivery(chunk: event, credit: event)) { continue }
            unhandled.dismiss(late.id)
            desk.giveBack(late, obligation)
        }
    }
}

extension RouteGroup {
    /// The members on this node that a message is for.
    func locals(for message: Message) -> [AnySubscriber] {
        locals.filter { $0.sees(message.session) && $0.takes(eventType: message.eventType) }
    }

    /// What the group is called in a journal; nil unless all of the members that the message is for have their events at least once.
    func obligation(for message: Message, on node: NodeID) -> String? {
        let locals = locals(for: message)
        let isReliable = locals.allSatisfy { $0.obligation(on: node) != nil } && remotes.allSatisfy { $0.obligation != nil }
        return isReliable && !(locals.isEmpty && remotes.isEmpty) ? JournalName.group(name) : nil
    }
}

/// What those who must have an event are called in a journal.
package enum JournalName {
    /// A subscription that has a name.
    package static func subscription(_ name: String, on node: NodeID) -> String { "name:\(node)/\(name)" }
    /// A queue group, wherever its members are.
    package static func group(_ name: String) -> String { "group:\(name)" }
    /// A subscription without a name, for as long as its node lives.
    package static func flow(_ flow: UInt32, on node: NodeID, _ incarnation: Incarnation) -> String {
        "flow:\(node)/\(incarnation)/\(flow)"
    }
}
