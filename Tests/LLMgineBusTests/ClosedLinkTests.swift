import LLMgineBroker
import LLMgineBus
import LLMgineCore
import LLMgineRouting
import NIOCore
import Testing

@Suite struct `A link that has just closed` {
    @Test func `loses a request like any other lost link`() async throws {
        let bus = MessageBus(configuration: BusConfiguration(name: "here"))
        let entry = InterestEntry(flow: 7, kind: .responder, filters: ["ask.>"], windowMessages: 1)
        bus.desk.responderAdded(entry, node: "there", link: LinkID(1), over: ClosedLink())
        let answer = try await bus.request(Message(topic: "ask.me", payload: ByteBuffer()), options: RequestOptions(deadline: .seconds(5)))
        await #expect(throws: LLMgineError(.peerLost, "")) { try await answer.first() }
        await bus.stop()
    }
}

/// Takes nothing any more, and nobody has told the bus.
private final class ClosedLink: RemoteLink {
    var peer: NodeID { "there" }
    func route(flows: [UInt32]) -> any RemoteRoute { fatalError("it has no subscriptions") }
    func sendRequest(_: UInt64, flow _: UInt32, deadline _: Duration, replyWindow _: UInt64, _: Message) throws(LLMgineError) {
        throw LLMgineError(.connectionClosed, "the link to the peer is closed")
    }
    func cancelRequest(_: UInt64) {}
    func grantReplies(_: UInt64, messages _: UInt64) {}
    func sendReply(_: UInt64, _: Message, isLast _: Bool) throws(LLMgineError) {}
    func sendReplyEnd(_: UInt64) {}
    func sendReplyError(_: UInt64, _: LLMgineError) {}
}
