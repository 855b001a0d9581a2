import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A long message` {
    private static let long = 1 << 20

    /// What the arrivals were, in order: `(` and `)` are the first and last part of a long message, `.` is another, a number a DATA frame.
    private func picture(_ arrivals: [Inbox.Arrival]) -> String {
        arrivals.map { arrival in
            switch arrival {
            case .begun: "("
            case .part: "."
            case .whole: ")"
            case .data(_, _, let letters): letters.map { "\($0.sequence)" }.joined(separator: ",")
            default: ""
            }
        }.joined()
    }

    @Test func `lets what is more urgent, and what is for others, pass after one part`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...1, bytes: Self.long)
        var arrivals = try link.take(link.drain(maximum: 40_000).buffers)
        #expect(picture(arrivals) == "(..")
        try link.fill(2...2, to: [2])
        try link.fill(3...3, priority: .urgent)
        arrivals = try link.take(link.drain(maximum: 40_000).buffers)
        #expect(picture(arrivals).hasPrefix("3.2.") || picture(arrivals).hasPrefix("32."), "\(picture(arrivals))")
        arrivals = try link.drained()
        #expect(arrivals.data == [Parcel([1], [1])])
        #expect(picture(arrivals).count == 65 - 6, "as many parts as it takes and no more")
    }

    @Test func `is not overtaken by what comes after it in the same flow and class`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...1, to: [1, 2], bytes: Self.long)
        try link.fill(2...2, to: [1])
        try link.fill(3...3, to: [1, 2], bytes: 20_000)
        try link.fill(4...4, to: [2])
        let parcels = try link.drained().data
        #expect(parcels[0] == Parcel([1, 2], [1]))
        for flow in 1...2 as ClosedRange<UInt32> {
            let sequences = parcels.filter { $0.flows.contains(flow) }.flatMap(\.sequences)
            #expect(sequences == (flow == 1 ? [1, 2, 3] : [1, 3, 4]))
        }
    }

    @Test func `takes turns with the long messages of other flows`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...1, to: [1], bytes: 50_000)
        try link.fill(2...2, to: [2], bytes: 50_000)
        #expect(picture(try link.drained()) == "((....))")
    }

    @Test func `takes credit for all of it before its first part goes`() throws {
        let link = OneWay(window: Credit(messages: 9, bytes: 50_000))
        try link.fill(1...1, bytes: 60_000)
        #expect(try link.drained().last == .blocked(1, .normal, at: .none))
        #expect(link.granted(flow: 1, Credit(messages: 9, bytes: 60_000)))
        #expect(picture(try link.drained()) == "(..)")
        #expect(link.room(flow: 1) == 8)
    }

    @Test func `that has begun goes on when one of its flows is closed, and does not stop a new one`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...1, to: [1, 2], bytes: Self.long)
        #expect(picture(try link.take(link.drain(maximum: 40_000).buffers)) == "(..")
        #expect(link.queued.map(\.messages) == [1, 1], "it is not there yet")
        #expect(link.closed(flow: 1) == 0)
        link.opened(flow: 3, whenFull: .block, window: .plenty)
        try link.fill(2...2, to: [3])
        try link.fill(3...3, to: [2])
        let parcels = try link.drained().data
        #expect(parcels.first == Parcel([3], [2]))
        #expect(parcels.dropFirst() == [Parcel([1, 2], [1]), Parcel([2], [3])])
        #expect(link.queued.isEmpty)
    }

    @Test func `is finished before its topic's number means something else`() throws {
        var limits = Outbox.Limits()
        limits.texts = 2
        let link = OneWay(limits: limits)
        try link.fill(1...1, of: "long", bytes: Self.long)
        #expect(picture(try link.take(link.drain(maximum: 40_000).buffers)) == "(..")
        _ = try link.encode(.of("x"))
        _ = try link.encode(.of("y"))
        let arrivals = try link.drained()
        guard case .whole(_, _, let letters)? = arrivals.first(where: { if case .whole = $0 { true } else { false } }) else {
            throw LLMgineError(.malformedFrame, "it never came")
        }
        #expect(letters.map(\.topic) == ["long"])
        #expect(letters.map(\.payload.readableBytes) == [Self.long])
    }

    @Test func `leaves the lowest class its share, and takes no more than its own`() throws {
        let link = OneWay(flows: 1...2)
        try link.fill(1...1, to: [1], bytes: Self.long, priority: .low)
        for number in 2...21 as ClosedRange<UInt64> { try link.fill(number...number, to: [2], bytes: Self.long / 10, priority: .high) }
        let arrivals = try link.take(link.drain(maximum: 800_000).buffers)
        let begun = arrivals.compactMap { if case .begun(_, let priority, _) = $0 { priority } else { nil } }
        let number = UInt64(try #require(begun.firstIndex(of: .low)) + 1)
        let low = arrivals.count { if case .part(number) = $0 { true } else { false } }
        #expect(8...12 ~= low, "\(low) parts")
    }
}

@Suite struct `Parts of messages` {
    private static let head = FragmentFrame.Head(priority: .normal, flows: [1, 2], baseSequence: 7, payloadBytes: 90, length: 100)

    private func bytes(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 1, count: count) }

    private func first(_ number: UInt64 = 1, of length: UInt64 = 100, payload: UInt64 = 90, count: Int = 40) -> FragmentFrame {
        var head = Self.head
        (head.length, head.payloadBytes) = (length, payload)
        return FragmentFrame(number: number, head: head, bytes: bytes(count))
    }

    private func begin(_ fragment: FragmentFrame, _ assembly: inout FragmentAssembly, for flows: [UInt32]? = nil) throws {
        let head = try #require(fragment.head)
        try assembly.check(fragment, head, limits: WireLimits())
        assembly.begin(fragment, head, for: flows ?? head.flows)
    }

    @Test func `become the message, for those that take it`() throws {
        var assembly = FragmentAssembly()
        try begin(first(), &assembly, for: [2])
        try begin(first(2), &assembly)
        #expect(try assembly.proceed(FragmentFrame(number: 1, bytes: bytes(30))) == nil)
        #expect((assembly.count, assembly.bytes) == (2, 110))
        let whole = DataFrame(priority: .normal, flows: [2], baseSequence: 7, count: 1, messages: bytes(100))
        #expect(try assembly.proceed(FragmentFrame(number: 1, isLast: true, bytes: bytes(30))) == whole)
        #expect((assembly.count, assembly.bytes) == (1, 40))
    }

    @Test func `that nobody takes are not kept`() throws {
        var assembly = FragmentAssembly()
        try begin(first(), &assembly, for: [])
        #expect(assembly.bytes == 0)
        #expect(try assembly.proceed(FragmentFrame(number: 1, isLast: true, bytes: bytes(60))) == nil)
        #expect(assembly.count == 0)
    }

    @Test func `that make no message are refused`() throws {
        var assembly = FragmentAssembly()
        func refuses(_ code: LLMgineError.Code, _ body: (inout FragmentAssembly) throws -> Void) {
            var assembly = assembly
            let error = #expect(throws: LLMgineError.self) { try body(&assembly) }
            #expect(error?.code == code)
        }
        refuses(.malformedFrame) { _ = try $0.proceed(FragmentFrame(number: 1, bytes: bytes(1))) }
        refuses(.malformedFrame) { try begin(first(2), &$0) }
        refuses(.malformedFrame) { try begin(first(count: 100), &$0) }
        refuses(.limitExceeded) { try begin(first(of: 2 << 20, payload: (1 << 20) + 1), &$0) }
        refuses(.limitExceeded) { try begin(first(of: 1 << 20, payload: 1000), &$0) }
        refuses(.limitExceeded) { try begin(first(of: .max, payload: .max - 1), &$0) }
        try begin(first(), &assembly)
        refuses(.malformedFrame) { try begin(first(), &$0) }
        refuses(.malformedFrame) { _ = try $0.proceed(FragmentFrame(number: 1, bytes: bytes(60))) }
        refuses(.malformedFrame) { _ = try $0.proceed(FragmentFrame(number: 1, isLast: true, bytes: bytes(59))) }
        refuses(.malformedFrame) { _ = try $0.proceed(FragmentFrame(number: 1, isLast: true, bytes: bytes(61))) }
        for number in 2...1024 as ClosedRange<UInt64> { try begin(first(number), &assembly, for: []) }
        refuses(.limitExceeded) { try begin(first(1025), &$0) }
    }
}
