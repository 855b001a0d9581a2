import LLMgineCore
import LLMgineWire
import NIOCore
import Testing

/// A frame and the bytes that it must have. The hex was made from the protocol description by another program, so that the codec is not
/// checked against its own mirror.
struct Golden: Sendable, CustomTestStringConvertible {
    let name: String
    let frame: Frame
    let hex: String

    let bytes: ByteBuffer
    var testDescription: String { name }

    init(name: String, frame: Frame, hex: String) {
        self.name = name
        self.frame = frame
        self.hex = hex
        self.bytes = ByteBuffer(bytes: Hex.bytes(hex))
    }

    static let all: [Golden] = [
        Golden(
            name: "HELLO",
            frame: .hello(
                HelloFrame(
                    cluster: "demo", node: "a.1", incarnation: Incarnation(0x0006_0000_0000_0001), zone: "eu", roles: ["worker", "edge"],
                    advertisedAddress: "10.0.0.1:7400", build: "llmgine 0.1", features: [])),
            hex: "0000004b01004c4c4d470101000464656d6f03612e3100060000000000010265750206776f726b657204656467650d31302e302e302e313a"
                + "37343030008080448080400b6c6c6d67696e6520302e31"),
        Golden(
            name: "REJECT",
            frame: .reject(RejectFrame(code: 1, detail: "no common version")),
            hex: "00000015020001116e6f20636f6d6d6f6e2076657273696f6e"),
        Golden(
            name: "PING",
            frame: .ping(PingFrame(nonce: 300, interestVersion: 7, interestHash: 0xDEAD_BEEF_00C0_FFEE)),
            hex: "0000000d0300ac0207deadbeef00c0ffee"),
        Golden(
            name: "PONG",
            frame: .pong(PongFrame(nonce: .max)),
            hex: "0000000c0400ffffffffffffffffff01"),
        Golden(
            name: "LEAVING",
            frame: .leaving(LeavingFrame(deadline: .seconds(5))),
            hex: "0000000405008827"),
        Golden(
            name: "GOODBYE",
            frame: .goodbye(GoodbyeFrame(code: 12, detail: "bye")),
            hex: "0000000706000c03627965"),
        Golden(
            name: "MOVED",
            frame: .moved(MovedFrame()),
            hex: "000000020700"),
        Golden(
            name: "RENEW",
            frame: .renew(RenewFrame()),
            hex: "000000020800"),
        Golden(
            name: "COMPRESSED",
            frame: .compressed(Run.golden),
            hex: "000000300900" + "37" + "636060603661f0656060e0556060e4cc2f4a492d2ad64b2d850830c1044a8b81025c4a0c9c8c0d0e0d0d0d2c00"),
        Golden(
            name: "INTEREST",
            frame: .interest(InterestFrame(kind: .delta, fromVersion: 4, toVersion: 6, adds: entries, removes: [1, 200])),
            hex: "0000005a100000040603090002086f72646572732e3e05612e2a2e63000088278020808080020a0101166c6c6d67696e652e6c6c6d2e656d"
                + "6265646465642e3e07776f726b6572730204808004ffffffff0f00010178000100000201c801"),
        Golden(
            name: "INTEREST, an empty snapshot",
            frame: .interest(InterestFrame(kind: .snapshot, fromVersion: 0, toVersion: 0, adds: [])),
            hex: "0000000710000100000000"),
        Golden(
            name: "INTEREST with other policies",
            frame: .interest(InterestFrame(kind: .delta, fromVersion: 6, toVersion: 8, adds: policies)),
            hex: "0000003810000006080401000101780003f403021002000101780004000210030001017800040673796d626f6c0210"
                + "040001017800058080040210" + "00"),
        Golden(
            name: "INTEREST_ACK",
            frame: .interestAck(InterestAckFrame(version: 6)),
            hex: "00000003110006"),
        Golden(
            name: "INTEREST_WANTED",
            frame: .interestWanted(InterestWantedFrame(sinceVersion: 0)),
            hex: "00000003120000"),
        Golden(
            name: "INTERN",
            frame: .intern(InternFrame(id: 1, text: "orders.eu")),
            hex: "0000000d200001096f72646572732e6575"),
        Golden(
            name: "DATA",
            frame: .data(DataFrame(priority: .normal, flows: [9, .max], baseSequence: 1000, count: 2, messages: run(plain, full))),
            hex: "0000004f2100020209ffffffff0f00000000000003e8020800010068656c6c6f321f02ac0203010203040506070811121314151617182122"
                + "2324252627280102016b017602c3bc00dc0b06636861742d377b7d"),
        Golden(
            name: "GRANT",
            frame: .grant(GrantFrame(flow: 9, priority: .high, maximumMessages: 8192, maximumBytes: 8_388_608)),
            hex: "0000000a22000901804080808004"),
        Golden(
            name: "BLOCKED",
            frame: .blocked(
                BlockedFrame(
                    flow: 9, priority: .low, atMessages: 8191, atBytes: 0, nextBytes: 300, waitingMessages: 5, waitingBytes: 16_384)),
            hex: "0000000d23000903ff3f00ac0205808001"),
        Golden(
            name: "ACK",
            frame: .ack(AckFrame(flow: 9, priority: .normal, upTo: 300, beyond: [302..<304, 400..<401])),
            hex: "0000000b25000902ac020202026001"),
        Golden(
            name: "GAP",
            frame: .gap(GapFrame(flow: 9, priority: .low, cause: .expired, count: 17)),
            hex: "00000006260009030111"),
        Golden(
            name: "FRAGMENT, the first",
            frame: .fragment(
                FragmentFrame(
                    number: 300,
                    head: .init(priority: .high, flows: [9, .max], baseSequence: 1000, payloadBytes: 1 << 20, length: 1_048_590),
                    bytes: ByteBuffer(bytes: [0x8A, 0x80, 0x40]))),
            hex: "0000001e2700ac020001" + "0209ffffffff0f" + "00000000000003e8" + "808040" + "8e8040" + "8a8040"),
        Golden(
            name: "FRAGMENT, between",
            frame: .fragment(FragmentFrame(number: 300, bytes: ByteBuffer(bytes: [1, 2, 3]))),
            hex: "000000082700ac0201010203"),
        Golden(
            name: "FRAGMENT, the last",
            frame: .fragment(FragmentFrame(number: 1, isLast: true, bytes: ByteBuffer(bytes: [4]))),
            hex: "000000052700010204"),
        Golden(
            name: "DRAIN",
            frame: .drain(DrainFrame(flow: 300, priority: .urgent)),
            hex: "000000052800ac0200"),
        Golden(
            name: "DRAINED",
            frame: .drained(DrainedFrame(flow: 9, priority: .low, atMessages: 8192, atBytes: 300)),
            hex: "0000000829000903" + "8040" + "ac02"),
        Golden(
            name: "REQUEST",
            frame: .request(
                RequestFrame(request: 77, flow: 10, deadline: .seconds(30), replyMessages: 64, replyBytes: 65_536, message: run(plain))),
            hex: "0000001430004d0ab0ea01408080040800010068656c6c6f"),
        Golden(
            name: "REPLY",
            frame: .reply(ReplyFrame(request: 77, isLast: false, message: run(full))),
            hex: "0000003731004d00321f02ac02030102030405060708111213141516171821222324252627280102016b017602c3bc00dc0b06636861742d"
                + "377b7d"),
        Golden(
            name: "REPLY, the last, empty",
            frame: .reply(ReplyFrame(request: 77, isLast: true, message: run(empty))),
            hex: "0000000831004d0103000000"),
        Golden(
            name: "REPLY_ERROR",
            frame: .replyError(ReplyErrorFrame(request: 77, code: "noCapacity", detail: "all slots are taken")),
            hex: "0000002232004d0a6e6f436170616369747913616c6c20736c6f7473206172652074616b656e"),
        Golden(
            name: "REPLY_CREDIT",
            frame: .replyCredit(ReplyCreditFrame(request: 77, maximumMessages: 128, maximumBytes: 131_072)),
            hex: "0000000833004d8001808008"),
        Golden(
            name: "CANCEL",
            frame: .cancel(CancelFrame(request: 77)),
            hex: "0000000334004d"),
        Golden(
            name: "CALL_PART, the first of a request",
            frame: .callPart(
                CallPartFrame(
                    .request(77),
                    .first(
                        .init(
                            frame: .request(
                                RequestFrame(
                                    request: 77, flow: 10, deadline: .seconds(30), replyMessages: 64, replyBytes: 65_536,
                                    message: ByteBuffer())),
                            length: 1 << 20)),
                    bytes: ByteBuffer(bytes: [0x8A, 0x80, 0x40]))),
            hex: "000000133500" + "004d00" + "0ab0ea0140808004" + "808040" + "8a8040"),
        Golden(
            name: "CALL_PART, the first of the end of an answer",
            frame: .callPart(
                CallPartFrame(
                    .reply(77),
                    .first(.init(frame: .reply(ReplyFrame(request: 77, isLast: true, message: ByteBuffer())), length: 300)),
                    bytes: ByteBuffer(bytes: [1, 2, 3]))),
            hex: "0000000b3500" + "014d00" + "01" + "ac02" + "010203"),
        Golden(
            name: "CALL_PART, between",
            frame: .callPart(CallPartFrame(.request(300), .between, bytes: ByteBuffer(bytes: [1]))),
            hex: "000000073500" + "00ac0201" + "01"),
        Golden(
            name: "CALL_PART, the last",
            frame: .callPart(CallPartFrame(.reply(77), .last, bytes: ByteBuffer(bytes: [4]))),
            hex: "000000063500" + "014d02" + "04"),
        Golden(
            name: "CALL_PART, given up",
            frame: .callPart(CallPartFrame(.request(77), .givenUp)),
            hex: "000000053500" + "004d03"),
        Golden(
            name: "GOSSIP",
            frame: .gossip(GossipFrame(members: members)),
            hex: "0000003b4000020161000000000000000503010d31302e302e302e313a373430300265750106776f726b6572010101620000000000000006"
                + "00000000000102"),
    ]

    /// Every type of frame must be in the table.
    static func frame(_ type: FrameType) -> Frame? { all.first { $0.frame.type == type }?.frame }
}

// MARK: What the frames hold

extension Golden {
    static let plain = (MessageFields(topicRef: 1), ByteBuffer(string: "hello"))
    static let empty = (MessageFields(topicRef: 0), ByteBuffer())
    static let full = (
        MessageFields(
            topicRef: 2, typeRef: 3, sequenceDelta: 300,
            trace: TraceContext(
                traceHigh: 0x0102_0304_0506_0708, traceLow: 0x1112_1314_1516_1718, span: 0x2122_2324_2526_2728, flags: 1),
            headers: ["k": "v", "ü": ""], timeToLive: .milliseconds(1500), session: "chat-7"),
        ByteBuffer(string: "{}")
    )

    static func run(_ messages: (MessageFields, ByteBuffer)...) -> ByteBuffer {
        var run = ByteBuffer()
        for (fields, payload) in messages { MessageWriter.write(fields, payload: payload, into: &run) }
        return run
    }

    static let entries = [
        InterestFrame.Entry(flow: 9, kind: .events, filters: ["orders.>", "a.*.c"], windowMessages: 4096, windowBytes: 4_194_304),
        InterestFrame.Entry(
            flow: 10, kind: .responder, filters: ["llmgine.llm.embedded.>"], group: "workers", whenFull: .rejectNew, windowMessages: 4,
            windowBytes: 65_536),
        InterestFrame.Entry(flow: .max, kind: .events, filters: ["x"], whenFull: .dropOldest, windowMessages: 0, windowBytes: 0),
    ]

    /// Entries for peers with the feature.
    static let policies = [
        WhenFull.adaptiveRateLimit(deadline: .milliseconds(500)), .conflate(by: .topic), .conflate(by: .header("symbol")),
        .spill(maximumBytes: 65_536),
    ].enumerated().map { index, policy in
        InterestFrame.Entry(
            flow: UInt32(index + 1), kind: .events, filters: ["x"], whenFull: policy, windowMessages: 2, windowBytes: 16)
    }

    static let members = [
        GossipFrame.Member(
            node: "a", incarnation: Incarnation(5), counter: 3, state: .up, address: "10.0.0.1:7400", zone: "eu", roles: ["worker"]),
        GossipFrame.Member(node: "b", incarnation: Incarnation(6), counter: 0, state: .joining, address: "", protocols: 1...2),
    ]
}

/// Bytes as text.
enum Hex {
    /// What is no hex digit is passed over.
    static func bytes(_ text: some StringProtocol) -> [UInt8] {
        let digits = text.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    static func text(_ bytes: ByteBuffer) -> String {
        bytes.readableBytesView.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
