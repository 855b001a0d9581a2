import LLMgineCore

import struct NIOCore.ByteBuffer

/// A subscription that a chunk from a link is for, and whom its room is given back to.
package struct InboundTarget {
    package let subscriber: AnySubscriber
    package let credit: any CreditReturn

    package init(subscriber: AnySubscriber, credit: any CreditReturn) {
        self.subscriber = subscriber
        self.credit = credit
    }

    /// The subscription has ended, which its publisher does not know yet: what still comes is counted as rejected.
    package func refuse(_ messages: Int, _ bytes: Int) {
        subscriber.mailbox.noteRefused(messages)
        credit.consumed(messages: messages, bytes: bytes)
    }
}

extension MessageBus {
    /// Queues what a link brought for several subscriptions, in the order of their handlers' priorities where these differ.
    package func deliver(_ chunk: any InboundChunk, bytes: Int, to targets: [InboundTarget]) {
        guard HandlerStages.areMixed(targets.lazy.map(\.subscriber)) else {
            for target in targets where !target.subscriber.deliver(InboundDelivery(chunk: chunk, credit: target.credit)) {
                target.refuse(chunk.count, bytes)
            }
            return
        }
        // The stages of one event must not wait for the other events of the chunk: each travels alone.
        let ordered = targets.sorted { AnySubscriber.isOfferedBefore($0.subscriber, $1.subscriber) }
        for index in 0..<chunk.count {
            let single = SingleMessage(of: chunk, at: index)
            var stages = HandlerStages(of: self)
            for target in ordered {
                let delivery = InboundDelivery(chunk: single, credit: target.credit, place: stages.place(for: target.subscriber))
                if !target.subscriber.deliver(delivery) { target.refuse(1, single.inbound.encodedBytes) }
            }
        }
    }
}

/// One message of a chunk as a chunk of its own.
private final class SingleMessage: InboundChunk {
    let inbound: InboundMessage
    let priority: Priority
    let node: NodeID
    let incarnation: Incarnation

    init(of chunk: any InboundChunk, at index: Int) {
        inbound = chunk.message(at: index)
        priority = chunk.priority
        node = chunk.node
        incarnation = chunk.incarnation
    }

    var count: Int { 1 }
    var common: Message? { nil }
    func content(at index: Int) -> (payload: ByteBuffer, sequence: UInt64) { (inbound.message.payload, inbound.sequence) }
    func message(at index: Int) -> InboundMessage { inbound }
}
