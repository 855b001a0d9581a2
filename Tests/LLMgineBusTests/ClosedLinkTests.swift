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

@Suite(.timeLimit(.minutes(1))) struct `A link that takes no large requests` {
    @Test func `loses no slot of the responder to those that it refuses`() async throws {
        let bus = MessageBus(configuration: BusConfiguration(name: "here"))
        let entry = InterestEntry(flow: 7, kind: .responder, filters: ["ask.>"], windowMessages: 2)
        bus.desk.responderAdded(entry, node: "there", link: LinkID(1), over: NarrowLink(desk: bus.desk))
        let options = RequestOptions(deadline: .seconds(30))
        for _ in 0..<5 {
            let large = Message(topic: "ask.me", payload: ByteBuffer(repeating: 0, count: 2 << 20))
            await #expect(throws: LLMgineError(.limitExceeded, "")) { try await bus.request(large, options: options).first() }
        }
        let small = Message(topic: "ask.me", payload: ByteBuffer(string: "?"))
        #expect(try await bus.request(small, options: options).first().payload == ByteBuffer(string: "!"))
        await bus.stop()
    }
}

/// Answers at once what is not too large for it.
private final class NarrowLink: RemoteLink {
    private let desk: RequestDesk

    init(desk: RequestDesk) { self.desk = desk }

    var peer: NodeID { "there" }
    func route(flows: [UInt32]) -> any RemoteRoute { fatalError("it has no subscriptions") }
    func sendRequest(_ request: UInt64, flow _: UInt32, deadline _: Duration, replyWindow _: UInt64, _ message: Message)
        throws(LLMgineError)
    {
        guard message.payload.readableBytes <= 1 << 20 else { throw LLMgineError(.limitExceeded, "the payload is too large for the link") }
        _ = desk.replied(request, Message(topic: message.topic, payload: ByteBuffer(string: "!")), isLast: true, over: LinkID(1))
    }
    func cancelRequest(_: UInt64) {}
    func grantReplies(_: UInt64, messages _: UInt64) {}
    func sendReply(_: UInt64, _: Message, isLast _: Bool) throws(LLMgineError) {}
    func sendReplyEnd(_: UInt64) {}
    func sendReplyError(_: UInt64, _: LLMgineError) {}
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
