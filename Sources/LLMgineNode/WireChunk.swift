import LLMgineBus
import LLMgineCore
import LLMgineTransport
import LLMgineWire
import NIOCore

/// A DATA frame as subscriptions take it: verified, still encoded, shared by all flows that it names.
final class WireChunk: InboundChunk {
    private let data: ReceivedData
    let node: NodeID
    let incarnation: Incarnation
    let common: Message?
    private let link: PeerLink

    init(_ data: ReceivedData, from link: PeerLink) {
        self.data = data
        self.link = link
        node = link.peer
        incarnation = link.hello.incarnation
        if case .same(let topic, let type) = data.names, data.index.isPlain {
            common = Message(topic: topic, payload: ByteBuffer(), eventType: type, priority: data.priority)
        } else {
            common = nil
        }
    }

    var count: Int { data.index.count }
    var priority: Priority { data.priority }

    func content(at index: Int) -> (payload: ByteBuffer, sequence: UInt64) {
        let entry = data.index.entries[index]
        return (data.index.payload(of: entry), data.index.sequence(of: entry))
    }

    func message(at index: Int) -> InboundMessage {
        let wire = data.index[index]
        let topic: Topic
        let eventType: String?
        switch data.names {
        case .same(let all, let type): (topic, eventType) = (all, type)
        case .each(let names): (topic, eventType) = names[index]
        }
        var message = Message(wire, topic: topic, eventType: eventType, priority: data.priority)
        let origin = message.takeOrigin()
        return InboundMessage(
            message: message, sequence: wire.sequence, encodedBytes: wire.payload.readableBytes,
            origin: origin.flatMap { link.trusts($0.node) ? $0 : nil })
    }
}
