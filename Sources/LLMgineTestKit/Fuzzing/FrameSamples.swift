import LLMgineCore
package import LLMgineWire
import NIOCore

/// One frame of each type that a node may send, in an order in which a peer accepts them.
package enum FrameSamples {
    package static let all: [Frame] = [
        .hello(FuzzedLink.theirs),
        .ping(PingFrame(nonce: 5, interestVersion: 3, interestHash: 9)),
        .pong(PongFrame(nonce: 5)),
        .interest(InterestFrame(kind: .snapshot, fromVersion: 0, toVersion: 1, adds: [entry])),
        .interestAck(InterestAckFrame(version: 1)),
        .interestWanted(InterestWantedFrame(sinceVersion: 0)),
        .intern(InternFrame(id: 1, text: "orders.eu")),
        .data(DataFrame(priority: .normal, flows: [1], baseSequence: 1, count: 1, messages: message)),
        .grant(GrantFrame(flow: 1, maximumMessages: 10, maximumBytes: 1000)),
        .blocked(BlockedFrame(flow: 1, atMessages: 3, atBytes: 30, nextBytes: 10, waitingMessages: 2, waitingBytes: 20)),
        .ack(AckFrame(flow: 1, priority: .low, upTo: 2, beyond: [4..<6])),
        .fragment(FragmentFrame(number: 1, isLast: true, bytes: ByteBuffer(string: "rest"))),
        .drain(DrainFrame(flow: 1, priority: .low)),
        .drained(DrainedFrame(flow: 1, priority: .low, atMessages: 3, atBytes: 30)),
        .gap(GapFrame(flow: 1, priority: .low, count: 2)),
        .request(
            RequestFrame(request: 1, flow: 2, deadline: .seconds(1), replyMessages: 1, replyBytes: 100, message: message)),
        .reply(ReplyFrame(request: 1, isLast: true, message: message)),
        .replyError(ReplyErrorFrame(request: 1, code: LLMgineError.Code.remoteError.rawValue, detail: "no")),
        .replyCredit(ReplyCreditFrame(request: 1, maximumMessages: 4, maximumBytes: 400)),
        .cancel(CancelFrame(request: 1)),
        .callPart(
            CallPartFrame(
                .reply(2), .first(.init(frame: .reply(ReplyFrame(request: 2, isLast: true, message: ByteBuffer())), length: 20)),
                bytes: ByteBuffer(string: "first"))),
        .callPart(CallPartFrame(.reply(2), .givenUp)),
        .gossip(GossipFrame(members: [])),
        .renew(RenewFrame()),
        .compressed(compressed),
        .moved(MovedFrame()),
        .leaving(LeavingFrame(deadline: .seconds(1))),
        .goodbye(GoodbyeFrame(code: 12, detail: "bye")),
        .reject(RejectFrame(code: 1, detail: "no")),
    ]

    private static let entry = InterestFrame.Entry(
        flow: 1, kind: .events, filters: ["orders.>"], group: nil, whenFull: .dropOldest, windowMessages: 8, windowBytes: 800)

    /// Two CANCEL frames in a stored block, which is how deflate writes what it cannot make shorter.
    private static let compressed: CompressedFrame = {
        var run = ByteBuffer()
        for request in 2...3 as ClosedRange<UInt64> { Frame.cancel(CancelFrame(request: request)).write(into: &run) }
        var deflated = ByteBuffer(bytes: [1])
        deflated.writeInteger(UInt16(run.readableBytes), endianness: .little)
        deflated.writeInteger(~UInt16(run.readableBytes), endianness: .little)
        deflated.writeImmutableBuffer(run)
        return CompressedFrame(length: UInt64(run.readableBytes), deflated: deflated)
    }()

    private static let message: ByteBuffer = {
        var run = ByteBuffer()
        MessageWriter.write(MessageFields(topicRef: 1), payload: ByteBuffer(string: "payload"), into: &run)
        return run
    }()
}
