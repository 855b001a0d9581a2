import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineWire
import NIOCore
import Testing

@Suite struct `An outbox` {
    @Test func `sends control before data, and a number before its first use`() throws {
        let link = OneWay()
        #expect(try link.append(.of("a", type: "T"), sequence: 1, to: [1]) == .queued(evicted: 0, rejected: 0))
        link.send(.cancel(CancelFrame(request: 9)))
        #expect(try link.append(.of("a", type: "U"), sequence: 2, to: [1]) == .queued(evicted: 0, rejected: 0))
        let payload = ByteBuffer(repeating: 0x2A, count: 8)
        #expect(
            try link.drained() == [
                .intern(1, "a"), .intern(2, "T"), .other(.cancel), .intern(3, "U"),
                .data(
                    [1], .normal,
                    [
                        Inbox.Letter(topic: "a", type: "T", sequence: 1, payload: payload),
                        Inbox.Letter(topic: "a", type: "U", sequence: 2, payload: payload),
                    ]),
            ])
        #expect(try link.drained() == [])
    }

    @Test func `says at once when too much control waits`() throws {
        var limits = Outbox.Limits()
        limits.control = 1000
        let link = OneWay(limits: limits)
        let frame = Frame.cancel(CancelFrame(request: 9))
        var count = 0
        while !link.isOverfull, count < 1000 {
            #expect(link.controlBytes <= 1000)
            link.send(frame)
            count += 1
        }
        #expect(link.controlBytes > 1000)
        #expect(try link.drained().count == count)
        #expect(!link.isOverfull)
    }

    @Test func `carries every field of a message`() throws {
        let link = OneWay()
        var message = Message.of("a", type: "T", bytes: 300)
        message.headers = ["k": "v"]
        message.session = "s"
        message.timeToLive = .seconds(3)
        message.trace = TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 1)
        #expect(try link.append(message, sequence: 1 << 40, to: [1]) == .queued(evicted: 0, rejected: 0))
        var decoder = FrameDecoder(maximumFrame: WireLimits().maximumFrame)
        for buffer in link.drain(maximum: .max).buffers { decoder.append(buffer) }
        while let frame = try decoder.next() {
            guard case .data(let data) = frame else { continue }
            let sent = try data.index(highestIntern: 2, maximumPayload: 1024)[0]
            #expect(sent.sequence == 1 << 40)
            #expect(sent.headers == message.headers)
            #expect(sent.session == message.session)
            #expect(sent.timeToLive == message.timeToLive)
            #expect(sent.trace == message.trace)
            #expect(sent.payload == message.payload)
            return
        }
        Issue.record("no DATA came out")
    }

    @Test func `announces the numbers of a request before it`() throws {
        let link = OneWay()
        let run = try link.encode(.of("ask", type: "Q"))
        link.send(.request(RequestFrame(request: 1, flow: 1, deadline: .seconds(1), replyMessages: 1, replyBytes: 1, message: run)))
        #expect(try link.drained() == [.intern(1, "ask"), .intern(2, "Q"), .other(.request)])
        #expect(try link.encode(.of("ask", type: "Q")) == run)
        #expect(link.controlBytes == 0)
    }

    @Test func `puts one message into one frame for all flows that can pay`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...3, to: [1, 2])
        #expect(try link.drained().data == [Parcel([1, 2], 1...3)])
    }

    @Test func `gives a flow without credit the rest later, on its own and in order`() throws {
        let link = OneWay()
        link.opened(flow: 2, whenFull: .block, window: .messages(0))
        try link.fill(1...3, to: [1, 2])
        let early = link.drain(maximum: .max).buffers
        let copy = early.map { ByteBuffer(bytes: $0.readableBytesView) }
        try link.fill(4...5, to: [1, 2])
        #expect(link.granted(flow: 2, .messages(4)))
        let late = link.drain(maximum: .max).buffers
        #expect(early == copy, "bytes on their way were changed")
        #expect(try link.take(early).data == [Parcel([1], 1...3)])
        let arrivals = try link.take(late)
        #expect(Set(arrivals.data) == [Parcel([2], 1...3), Parcel([1], 4...5), Parcel([2], [4])])
        #expect(arrivals.contains(.blocked(2, .normal, at: Credit(messages: 4, bytes: 32))))
        #expect(link.granted(flow: 2, .plenty))
        #expect(try link.drained().data == [Parcel([2], [5])])
    }

    @Test func `addresses at most 256 flows in a frame`() throws {
        let link = OneWay(flows: 1...600)
        try link.fill(1...1, to: Array(1...600))
        let parcels = try link.drained().data
        #expect(parcels.map(\.flows.count) == [256, 256, 88])
        #expect(Set(parcels.flatMap(\.flows)) == Set(1...600))
    }

    @Test(arguments: [1, 9, 300]) func `fills frames up to a TLS record and not past it`(flows: UInt32) throws {
        let link = OneWay(flows: 1...flows)
        try link.fill(1...1000, to: Array(1...flows), bytes: 128)
        let largest = link.drain(maximum: .max).buffers.map(\.readableBytes).max()
        #expect(try #require(largest) <= 16 << 10)
        #expect(try #require(largest) > 15_000)
    }

    @Test func `sends a message that is longer than a record by itself`() throws {
        let link = OneWay()
        try link.fill(1...1)
        try link.fill(2...2, bytes: 1 << 20)
        try link.fill(3...3)
        #expect(try link.drained().data == [Parcel([1], [1]), Parcel([1], [2]), Parcel([1], [3])])
    }

    @Test func `refuses a message that the peer does not take`() throws {
        let link = OneWay()
        link.agreed(WireLimits(maximumPayload: 2048))
        try link.fill(1...1, bytes: 2048)
        #expect(throws: LLMgineError(.limitExceeded, "")) { try link.append(2, bytes: 2049) }
        #expect(throws: LLMgineError(.limitExceeded, "")) { try link.encode(.of("a", bytes: 2049)) }
        #expect(try link.drained().data == [Parcel([1], [1])])
    }

    @Test func `stops about where it is told, and says that there is more`() throws {
        let link = OneWay()
        try link.fill(1...1000, bytes: 1000)
        var rounds = 0
        var sequences: [UInt64] = []
        while true {
            let drained = link.drain(maximum: 100_000)
            #expect(drained.bytes == drained.buffers.reduce(0) { $0 + $1.readableBytes })
            #expect(drained.bytes < 100_000 + (16 << 10) + 100)
            sequences += try link.take(drained.buffers).data.flatMap(\.sequences)
            rounds += 1
            if !drained.hasMore { break }
        }
        #expect(sequences == Array(1...1000))
        #expect(rounds == 9)
    }

    @Test func `serves the higher classes first within their share, and flows of a class in turn`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...40, to: [1], bytes: 1000)
        try link.fill(41...80, to: [2], bytes: 1000)
        try link.fill(81...81, to: [1], priority: .low)
        try link.fill(82...82, to: [2], priority: .urgent)
        try link.fill(83...83, to: [2], priority: .high)
        let parcels = try link.drained().data
        #expect(parcels.map(\.flows) == [[2], [2], [1], [2], [1], [1], [2], [1], [2]])
        // Normal has used up its 32 KiB with the third frame, and comes back once low has had its turn.
        #expect(parcels.map { $0.sequences[0] } == [82, 83, 1, 41, 17, 81, 57, 33, 73])
    }

    @Test func `sends nothing for flows that it does not know`() throws {
        let link = OneWay()
        #expect(try link.append(1, to: [7]) == .nobody)
        #expect(try link.append(2, to: []) == .nobody)
        #expect(link.closed(flow: 7) == 0)
        #expect(!link.granted(flow: 7, .plenty))
        #expect(link.room(flow: 7) == 0)
        #expect(try link.drained().data == [])
        link.opened(flow: 7, whenFull: .block, window: .plenty)
        try link.fill(3...3, to: [7])
        #expect(try link.drained().data == [Parcel([7], [3])])
    }

    @Test func `forgets what waits for a flow that is closed, and nothing else`() throws {
        let link = OneWay(flows: 1...3, window: .messages(2))
        try link.fill(1...5, to: [1, 2, 3])
        #expect(try link.drained().data == [Parcel([1, 2, 3], 1...2)])
        #expect(link.closed(flow: 2) == 3)
        #expect(link.queued.map(\.flow) == [1, 3])
        link.opened(flow: 4, whenFull: .block, window: .plenty)
        try link.fill(6...6, to: [1, 3, 4])
        #expect(link.granted(flow: 1, .plenty))
        #expect(link.granted(flow: 3, .plenty))
        let parcels = try link.drained().data
        #expect(parcels == [Parcel([1, 3], 3...5), Parcel([3, 1, 4], [6])])
        #expect(link.queued.isEmpty)
    }
}

@Suite struct `A topic` {
    /// A flow's own messages of one topic.
    private func sequences(_ topic: Topic, flow: UInt32, _ arrivals: [Inbox.Arrival]) -> [UInt64] {
        arrivals.flatMap { arrival -> [UInt64] in
            guard case .data(let flows, _, let letters) = arrival, flows.contains(flow) else { return [] }
            return letters.filter { $0.topic == topic }.map(\.sequence)
        }
    }

    @Test func `keeps its order when it moves between sets of flows and back`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...1, to: [1, 2], of: "a")
        try link.fill(2...2, to: [1], of: "b")
        try link.fill(3...3, to: [1], of: "a")
        try link.fill(4...4, to: [1, 2], of: "a")
        try link.fill(5...5, to: [1], of: "b")
        try link.fill(6...6, to: [1], of: "a")
        let arrivals = try link.drained()
        #expect(sequences("a", flow: 1, arrivals) == [1, 3, 4, 6])
        #expect(sequences("b", flow: 1, arrivals) == [2, 5])
        #expect(sequences("a", flow: 2, arrivals) == [1, 4])
    }

    @Test func `keeps its order when it changes the class in between`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...1, to: [1, 2], of: "b")
        try link.fill(2...2, to: [1], of: "a")
        try link.fill(3...3, to: [1, 2], of: "a", priority: .high)
        try link.fill(4...4, to: [1, 2], of: "a")
        #expect(sequences("a", flow: 1, try link.drained()) == [3, 2, 4])
    }

    @Test func `shares chunks with others while nothing moves`() throws {
        let link = OneWay(flows: 1...2)
        for sequence in stride(from: 1, to: 100, by: 2) as StrideTo<UInt64> {
            try link.fill(sequence...sequence, to: [1], of: "a")
            try link.fill(sequence + 1...sequence + 1, to: [1, 2], of: "b")
        }
        #expect(try link.drained().data.count == 2)
    }

    @Test func `gets another number once all are used up, and nothing that waits is lost for it`() throws {
        var limits = Outbox.Limits()
        limits.texts = 4
        let link = OneWay(limits: limits)
        link.opened(flow: 2, whenFull: .dropOldest, window: .messages(0))
        #expect(try link.append(.of("kept", type: "T"), sequence: 1, to: [1, 2]) == .queued(evicted: 0, rejected: 0))
        try link.fill(2...2, to: [1, 2], of: "kept")
        #expect(try link.drained().data == [Parcel([1], 1...2)])
        for number in 3...40 as ClosedRange<UInt64> {
            let topic = try Topic("t\(number)")
            try link.fill(number...number, to: [1], of: topic)
            let arrivals = try link.drained()
            #expect(sequences(topic, flow: 1, arrivals) == [number])
        }
        #expect(link.granted(flow: 2, .plenty))
        let arrivals = try link.drained()
        #expect(sequences("kept", flow: 2, arrivals) == [1, 2])
        guard case .data(_, _, let letters)? = arrivals.last else { throw LLMgineError(.malformedFrame, "no DATA") }
        #expect(letters.map(\.type) == ["T", nil])
    }

    @Test func `gets another number in the middle of a chunk that was sent in part`() throws {
        var limits = Outbox.Limits()
        limits.texts = 3
        let link = OneWay(window: .messages(1), limits: limits)
        try link.fill(1...1, of: "x")
        try link.fill(2...2, of: "y")
        #expect(try link.drained().data == [Parcel([1], [1])])
        _ = try link.encode(.of("z"))
        let run = try link.encode(.of("w"))  // z is free again
        link.send(.request(RequestFrame(request: 1, flow: 1, deadline: .seconds(1), replyMessages: 1, replyBytes: 1, message: run)))
        #expect(link.granted(flow: 1, .plenty))
        let arrivals = try link.drained()
        #expect(sequences("y", flow: 1, arrivals) == [2])
        #expect(arrivals.prefix(5) == [.intern(3, "z"), .intern(1, "x"), .intern(2, "y"), .intern(3, "w"), .other(.request)])
    }

    @Test func `is refused while all numbers are used by what waits`() throws {
        var limits = Outbox.Limits()
        limits.texts = 2
        let link = OneWay(window: .messages(0), limits: limits)
        try link.fill(1...1, of: "x")
        try link.fill(2...2, of: "y")
        #expect(throws: LLMgineError(.limitExceeded, "")) { try link.append(3, of: "z") }
        try link.fill(4...4, of: "x")
        #expect(link.granted(flow: 1, .plenty))
        #expect(try link.drained().data.flatMap(\.sequences) == [1, 2, 4])
        try link.fill(5...5, of: "z")
        #expect(sequences("z", flow: 1, try link.drained()) == [5])
    }

    @Test func `goes to more sets of flows than are kept in mind`() throws {
        var limits = Outbox.Limits()
        limits.lanes = 4
        let link = OneWay(flows: 1...20, limits: limits)
        for sequence in 1...100 as ClosedRange<UInt64> { try link.fill(sequence...sequence, to: [1, UInt32(2 + sequence % 19)], of: "a") }
        #expect(sequences("a", flow: 1, try link.drained()) == Array(1...100))
    }
}
