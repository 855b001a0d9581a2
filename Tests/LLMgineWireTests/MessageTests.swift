import LLMgineCore
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A run of messages` {
    private func index(_ run: ByteBuffer, count: UInt32, interned: UInt32 = 3, maximumPayload: Int = 1 << 20) throws -> MessageIndex {
        try DataFrame(priority: .normal, flows: [1], baseSequence: 1000, count: count, messages: run)
            .index(highestIntern: interned, maximumPayload: maximumPayload)
    }

    @Test func `is indexed with all that its messages carry`() throws {
        let run = Golden.run(Golden.plain, Golden.full)
        let index = try index(run, count: 2)
        #expect(index.map(\.topicRef) == [1, 2])
        #expect(index.map(\.typeRef) == [0, 3])
        #expect(index.map(\.sequence) == [1000, 1300])
        #expect(index.map { String(buffer: $0.payload) } == ["hello", "{}"])
        #expect(index.map(\.trace) == [nil, Golden.full.0.trace])
        #expect(index.map(\.headers) == [Headers(), Golden.full.0.headers])
        #expect(index.map(\.timeToLive) == [nil, .milliseconds(1500)])
        #expect(index.map(\.session) == [.bus, "chat-7"])
        #expect(index.payloadBytes == 7)
        #expect(index.entries.map(\.length).reduce(0, +) == run.readableBytes)
        #expect(index.trace(of: index.entries[1]) == Golden.full.0.trace)
        #expect(index.trace(of: index.entries[0]) == nil)
    }

    @Test func `is read one by one as it is by index`() throws {
        let run = Golden.run(Golden.plain, Golden.full, Golden.plain)
        var reader = MessageReader(run, baseSequence: 1000, highestIntern: 3, maximumPayload: 1 << 20)
        var read: [WireMessage] = []
        while let message = try reader.next() { read.append(message) }
        #expect(read == Array(try index(run, count: 3)))
    }

    @Test(arguments: 0..<32 as Range<UInt8>, [0, 1, 127, 128, 20_000])
    func `is the same from a message as from its fields, and no longer than measured`(flags: UInt8, length: Int) throws {
        let flags = MessageFlags(rawValue: flags)
        let full = Golden.full.0
        var message = Message(topic: "t", payload: ByteBuffer(repeating: 7, count: length))
        if flags.contains(.trace) { message.trace = full.trace }
        if flags.contains(.headers) { message.headers = full.headers }
        if flags.contains(.timeToLive) { message.timeToLive = full.timeToLive }
        if flags.contains(.session) { message.session = full.session }
        let measure = try MessageWriter.Measure(message, limits: WireLimits())
        for number in [1, 200, 65_536] as [UInt32] {
            let type = flags.contains(.type) ? number : 0
            let fields = MessageFields(
                topicRef: number, typeRef: type, sequenceDelta: .max, trace: message.trace, headers: message.headers,
                timeToLive: message.timeToLive, session: message.session)
            var run = ByteBuffer()
            MessageWriter.write(message, measure, topicRef: number, typeRef: type, sequenceDelta: .max, into: &run)
            #expect(run == Golden.run((fields, message.payload)))
            #expect(run.readableBytes <= measure.bound)
        }
        #expect(throws: LLMgineError(.limitExceeded, "")) {
            message.payload = ByteBuffer(repeating: 7, count: 1025)
            _ = try MessageWriter.Measure(message, limits: WireLimits(maximumPayload: 1024))
        }
    }

    @Test(arguments: 0..<32 as Range<UInt8>)
    func `carries every combination of optional fields`(flags: UInt8) throws {
        let flags = MessageFlags(rawValue: flags)
        let full = Golden.full.0
        let fields = MessageFields(
            topicRef: 3, typeRef: flags.contains(.type) ? 2 : 0, sequenceDelta: 9, trace: flags.contains(.trace) ? full.trace : nil,
            headers: flags.contains(.headers) ? full.headers : Headers(), timeToLive: flags.contains(.timeToLive) ? full.timeToLive : nil,
            session: flags.contains(.session) ? full.session : .bus)
        let payload = ByteBuffer(string: "payload")
        let run = Golden.run((fields, payload))
        let index = try index(run, count: 1)
        #expect(index.entries[0].flags == flags)
        #expect(
            index[0]
                == WireMessage(
                    topicRef: fields.topicRef, typeRef: fields.typeRef, sequence: 1009, trace: fields.trace, headers: fields.headers,
                    timeToLive: fields.timeToLive, session: fields.session, payload: payload))
        #expect(run.readableBytes == MessageWriter.length(of: fields, payloadBytes: 7))
    }

    @Test(arguments: [0, 1, 122, 123, 124, 16_378, 16_379, 16_380, 70_000])
    func `holds payloads of every width of length`(size: Int) throws {
        let run = Golden.run((MessageFields(topicRef: 1), ByteBuffer(repeating: 1, count: size)), Golden.plain)
        #expect(try index(run, count: 2).map(\.payload.readableBytes) == [size, 5])
    }

    @Test func `is valid in any part under the same base`() throws {
        let messages = (0..<50).map { (MessageFields(topicRef: 1, sequenceDelta: UInt32($0 * 7)), ByteBuffer(repeating: 1, count: $0)) }
        var run = ByteBuffer()
        for (fields, payload) in messages { MessageWriter.write(fields, payload: payload, into: &run) }
        let whole = try index(run, count: 50).map { $0 }
        var parts: [WireMessage] = []
        while run.readableBytes > 0 {
            let cut = try MessageCut(of: run, maximumMessages: 7, maximumPayloadBytes: 100)
            #expect(cut.messages > 0 && cut.messages <= 7 && cut.payloadBytes <= 100)
            parts += try index(run.readSlice(length: cut.bytes)!, count: UInt32(cut.messages)).map { $0 }
        }
        #expect(parts == whole)
    }

    @Test func `is cut to no message when the first does not fit`() throws {
        let run = Golden.run(Golden.plain, Golden.plain)
        for (messages, bytes) in [(0, 100), (10, 4), (-1, 100), (10, -1)] {
            let cut = try MessageCut(of: run, maximumMessages: messages, maximumPayloadBytes: bytes)
            #expect([cut.messages, cut.bytes, cut.payloadBytes] == [0, 0, 0])
        }
        #expect(try MessageCut(of: run, maximumMessages: 10, maximumPayloadBytes: 9).messages == 1)
        #expect(try MessageCut(of: run, maximumMessages: 10, maximumPayloadBytes: 10).messages == 2)
        #expect(try MessageCut(of: ByteBuffer(), maximumMessages: 10, maximumPayloadBytes: 10).messages == 0)
    }

    @Test func `of an index outlives the frame that it came in`() throws {
        var read = Golden.all.first { $0.frame.type == .data }!.bytes
        let index: MessageIndex? = try {
            guard case .data(let data) = try Frame.read(read.dropping(4)) else { return nil }
            return try data.index(highestIntern: 3, maximumPayload: 100)
        }()
        read.clear()
        read.writeRepeatingByte(0xFF, count: 200)
        #expect(index?.map { String(buffer: $0.payload) } == ["hello", "{}"])
    }

    @Test(arguments: [
        ("malformedFrame", "00"), ("malformedFrame", "05 00 01 00"),  // length 0; longer than what is there
        ("malformedFrame", "03 20 01 00"), ("malformedFrame", "03 40 01 00"), ("malformedFrame", "03 80 01 00"),  // reserved flags
        ("malformedFrame", "03 00 00 00"), ("malformedFrame", "03 00 04 00"),  // no topic, an unknown one
        ("malformedFrame", "04 01 01 00 00"), ("malformedFrame", "04 01 01 00 04"),  // type 0, an unknown one
        ("malformedFrame", "07 00 01 8080808010"),  // a delta of 33 bits
        ("malformedFrame", "02 00 01 00"), ("malformedFrame", "01 00 01 00"),  // fields past the end, though bytes are there
        ("malformedFrame", "1b 02 01 00" + String(repeating: "11", count: 24)),  // half a trace
        ("limitExceeded", "04 04 01 00 41"),  // 65 headers
        ("malformedFrame", "05 04 01 00 01 01"),  // a header past the end
        ("limitExceeded", "06 04 01 00 01 8120"),  // a header name of 4,097 bytes
        ("malformedFrame", "07 04 01 00 01 01ff 00"),  // a header name that is not UTF-8
        ("malformedFrame", "0a 08 01 00 81808080808001"),  // a time to live of more than 139 years
        ("limitExceeded", "05 10 01 00 8101"),  // a session name of 129 bytes
        ("malformedFrame", "05 10 01 00 01 ff"),  // a session name that is not UTF-8
        ("limitExceeded", "68 00 01 00" + String(repeating: "00", count: 101)),  // a payload of 101 bytes
        ("malformedFrame", "8300 00 01 00"), ("malformedFrame", "ffffffffffffffffff01 00 01 00"),  // overlong and enormous lengths
    ])
    func `that breaks a rule is refused`(code: String, hex: String) {
        let run = ByteBuffer(bytes: Hex.bytes(hex))
        let error = #expect(throws: LLMgineError.self) { try index(run, count: 1, maximumPayload: 100) }
        #expect(error?.code.rawValue == code, "\(error?.detail ?? "")")
    }

    @Test func `lets go of a read that is much larger than it`() throws {
        let run = Golden.run(Golden.plain, Golden.full)
        var read = ByteBufferAllocator().buffer(capacity: 64 << 10)
        read.writeImmutableBuffer(run)
        read.writeRepeatingByte(0, count: 1000)
        let slice = read.readSlice(length: run.readableBytes) ?? ByteBuffer()
        let whole = try index(slice, count: 2)
        let compacted = try #require(whole.compacted)
        #expect(compacted.messages.storageCapacity < 4 * run.readableBytes + 64)
        #expect(Array(compacted) == Array(whole))
        #expect(compacted.payloadBytes == whole.payloadBytes)
        #expect(compacted.isPlain == whole.isPlain)
        // What fills a good part of it stays where it is.
        #expect(compacted.compacted == nil || compacted.messages.storageCapacity > 4 * run.readableBytes)
        var large = ByteBufferAllocator().buffer(capacity: 64 << 10)
        MessageWriter.write(MessageFields(topicRef: 1), payload: ByteBuffer(repeating: 1, count: 20 << 10), into: &large)
        #expect(try index(large, count: 1).compacted == nil)
    }

    @Test func `is refused when the headers of a message are too long in all`() throws {
        // Each name has 2 bytes, each value fits the limit of one: the last decides.
        func run(last: Int) -> ByteBuffer {
            var headers = Headers()
            for number in 0..<7 { headers.add("h\(number)", String(repeating: "v", count: Headers.maximumBytes)) }
            headers.add("h7", String(repeating: "v", count: last))
            return Golden.run((MessageFields(topicRef: 1, headers: headers), ByteBuffer()))
        }
        let most = MessageFields.maximumHeaderBytes - 8 * 2 - 7 * Headers.maximumBytes
        #expect(try index(run(last: most), count: 1)[0].headers.count == 8)
        #expect(throws: LLMgineError(.limitExceeded, "")) { try index(run(last: most + 1), count: 1) }
        var reader = MessageReader(run(last: most + 1), baseSequence: 0, highestIntern: 1, maximumPayload: 100)
        #expect(throws: LLMgineError(.limitExceeded, "")) { _ = try reader.next() }
    }

    @Test(arguments: [1, 3, 4, 1_000_000, UInt32.max])
    func `with another count than announced is refused`(count: UInt32) {
        #expect(throws: LLMgineError(.malformedFrame, "")) { try index(Golden.run(Golden.plain, Golden.plain), count: count) }
    }

    @Test func `may leave out the topic in a reply only`() throws {
        let message = Golden.run(Golden.empty)
        let reply = ReplyFrame(request: 1, isLast: true, message: message)
        #expect(try reply.index(highestIntern: 0, maximumPayload: 0).map(\.topicRef) == [0])
        let request = RequestFrame(request: 1, flow: 1, deadline: .zero, replyMessages: 0, replyBytes: 0, message: message)
        #expect(throws: LLMgineError(.malformedFrame, "")) { try request.index(highestIntern: 3, maximumPayload: 0) }
    }

    @Test func `goes out behind a header without being copied into it`() throws {
        let run = Golden.run(Golden.plain, Golden.full)
        var bytes = ByteBuffer()
        DataFrame.writeHeader(
            priority: .normal, flows: [9, .max], baseSequence: 1000, count: 2, messagesLength: run.readableBytes, into: &bytes)
        bytes.writeImmutableBuffer(run)
        #expect(bytes == Golden.all.first { $0.frame.type == .data }?.bytes)
    }

    @Test func `takes a payload that lies inside another buffer`() throws {
        let buffer = ByteBuffer(string: "--hello--")
        var run = ByteBuffer()
        MessageWriter.write(MessageFields(topicRef: 1), payload: 2..<7, of: buffer, into: &run)
        #expect(run == Golden.run(Golden.plain))
    }
}

@Suite struct `What an application hands in` {
    private func check(headers: Headers = Headers(), session: SessionID = .bus, payload: Int = 0) throws(LLMgineError) {
        try MessageFields.check(headers: headers, session: session, payloadBytes: payload, limits: WireLimits(maximumPayload: 4096))
    }

    @Test func `is held to the limits of the link before it is written`() throws {
        var many = Headers()
        for index in 0...Headers.maximumCount { many.add("h\(index)", "v") }
        var large = Headers()
        for index in 0..<9 { large.add("h\(index)", String(repeating: "v", count: 4096)) }
        try check(headers: ["k": "v"], session: "chat-7", payload: 4096)
        #expect(throws: LLMgineError(.limitExceeded, "")) { try check(payload: 4097) }
        #expect(throws: LLMgineError(.limitExceeded, "")) { try check(session: SessionID(String(repeating: "s", count: 129))) }
        #expect(throws: LLMgineError(.limitExceeded, "")) { try check(headers: many) }
        #expect(throws: LLMgineError(.limitExceeded, "")) { try check(headers: ["k": String(repeating: "v", count: 4097)]) }
        #expect(throws: LLMgineError(.limitExceeded, "")) { try check(headers: large) }
    }
}
