import LLMgineBroker
import LLMgineBus
import LLMgineCore
import LLMgineRouting
import NIOCore
import Synchronization
import Testing

/// A link that takes requests and leaves the answering to the test.
private final class MuteLink: RemoteLink {
    let peer: NodeID
    let requests = Journal<UInt64>()

    init(_ peer: NodeID) { self.peer = peer }

    func route(flows: [UInt32]) -> any RemoteRoute { fatalError("no events go over this link") }
    func sendRequest(_ request: UInt64, flow: UInt32, deadline: Duration, replyWindow: UInt64, _ message: Message) throws(LLMgineError) {
        requests.add(request)
    }
    func cancelRequest(_ request: UInt64) {}
    func grantReplies(_ request: UInt64, messages: UInt64) {}
    func sendReply(_ request: UInt64, _ message: Message, isLast: Bool) throws(LLMgineError) {}
    func sendReplyEnd(_ request: UInt64) {}
    func sendReplyError(_ request: UInt64, _ error: LLMgineError) {}
}

@Suite(.timeLimit(.minutes(1))) struct `A request that went to one of several nodes` {
    @Test func `has its answer from the node that was asked, and from no other`() async throws {
        let bus = MessageBus()
        let link = MuteLink("b")
        let entry = InterestEntry(flow: 1, kind: .responder, filters: ["ask"], windowMessages: 1, windowBytes: .max)
        bus.desk.responderAdded(entry, node: "b", link: LinkID(1), over: link)
        let answer = try await bus.request(Message(topic: "ask", payload: ByteBuffer()))
        let request = try #require(await link.requests.first(1).first)
        let forged = Message(topic: "ask", payload: ByteBuffer(string: "forged"))
        #expect(bus.desk.replied(request, forged, isLast: true, over: LinkID(2)))
        #expect(bus.desk.replied(request, forged, isLast: true))
        bus.desk.replied(request, error: LLMgineError(.rejected, "forged"), over: LinkID(2))
        #expect(bus.desk.replied(request, Message(topic: "ask", payload: ByteBuffer(string: "true")), isLast: true, over: LinkID(1)))
        #expect(try await answer.first().payload == ByteBuffer(string: "true"))
        await bus.stop()
    }
}
