import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A long request or reply` {
    private static let long = 1 << 20

    /// A link whose ends know how to cut.
    private func link(flows: ClosedRange<UInt32>? = 1...1, limits: Outbox.Limits = Outbox.Limits()) -> OneWay {
        let link = OneWay(flows: flows, limits: limits)
        link.agreed(WireLimits(), features: .supported)
        return link
    }

    private func request(_ number: UInt64, on link: OneWay, bytes: Int = long, deadline: Duration = .seconds(30)) throws -> Frame {
        .request(
            RequestFrame(
                request: number, flow: 7, deadline: deadline, replyMessages: 4, replyBytes: .max,
                message: try link.encode(.of("q", bytes: bytes))))
    }

    private func reply(to number: UInt64, on link: OneWay, bytes: Int = long, isLast: Bool = false) throws -> Frame {
        .reply(ReplyFrame(request: number, isLast: isLast, message: try link.encode(.of("q", bytes: bytes))))
    }

    /// What came, in order: `(` and `)` are the first and last part, `.` is another, `x` one that is given up, a number a DATA frame, and `R` and `E`
    /// are a reply and its error.
    private func picture(_ arrivals: [Inbox.Arrival]) -> String {
        arrivals.map { arrival in
            switch arrival {
            case .call(_, .begun): "("
            case .call(_, .part): "."
            case .call(_, .whole): ")"
            case .call(_, .givenUp): "x"
            case .data(_, _, let letters): letters.map { "\($0.sequence)" }.joined(separator: ",")
            case .other(.reply): "R"
            case .other(.replyError): "E"
            case .other(.request): "Q"
            case .other(.cancel): "C"
            default: ""
            }
        }.joined()
    }

    private func wholes(_ arrivals: [Inbox.Arrival]) -> [CallPartFrame.Whole] {
        arrivals.compactMap { if case .call(_, .whole(let whole)) = $0 { whole } else { nil } }
    }

    @Test func `lets everything else pass after one part`() throws {
        let link = link()
        let frame = try request(1, on: link)
        link.send(call: frame)
        #expect(picture(try link.take(link.drain(maximum: 40_000).buffers)) == "(..")
        try link.fill(1...1)
        try link.fill(2...2, priority: .urgent)
        link.send(call: try request(2, on: link, bytes: 8))
        link.send(call: try reply(to: 9, on: link, bytes: 8))
        let next = picture(try link.take(link.drain(maximum: 40_000).buffers))
        #expect(next.hasPrefix("QR2.1.") || next.hasPrefix("QR21."), "\(next)")
        let arrivals = try link.drained()
        guard case .request(let expected) = frame, case .request(let got)? = wholes(arrivals).first else {
            throw LLMgineError(.malformedFrame, "it never came")
        }
        #expect(got == expected)
        #expect(picture(arrivals).count == 65 - 6, "as many parts as it takes and no more")
        #expect(link.longCalls == 0)
    }

    @Test func `shares the link with others of its class`() throws {
        let link = link()
        for number in 1...3 as ClosedRange<UInt64> { link.send(call: try request(number, on: link, bytes: 40_000)) }
        try link.fill(1...1, bytes: 50_000)
        let picture = picture(try link.drained())
        #expect(picture.hasPrefix("(((") && picture.hasSuffix(")))"), "\(picture)")
    }

    @Test func `takes the turns of its class`() throws {
        let link = link()
        link.send(call: try request(1, on: link, bytes: 200_000), .low)
        link.send(call: try request(2, on: link, bytes: 200_000), .urgent)
        let ends = try link.drained().compactMap { arrival -> CallPartFrame.Call? in
            if case .call(let call, .whole) = arrival { call } else { nil }
        }
        #expect(ends == [.request(2), .request(1)])
    }

    @Test func `is not overtaken by the rest of its answer, which passes other answers`() throws {
        let link = link()
        link.send(call: try reply(to: 1, on: link, bytes: 40_000))
        link.send(call: try reply(to: 1, on: link, bytes: 8))
        link.send(call: try reply(to: 1, on: link, bytes: 20_000))
        link.send(call: .replyError(ReplyErrorFrame(request: 1, code: "remoteError", detail: "no")))
        link.send(call: try reply(to: 2, on: link, bytes: 8))
        #expect(picture(try link.drained()) == "R(.)R()E")
        #expect(link.longCalls == 0)
        link.send(call: try reply(to: 1, on: link, bytes: 8))
        #expect(picture(try link.drained()) == "R")
    }

    @Test func `goes as one frame to a peer that cannot put it together`() throws {
        let link = OneWay()
        link.agreed(WireLimits(), features: [.moving, .policies])
        link.send(call: try request(1, on: link))
        link.send(call: try reply(to: 1, on: link))
        #expect(picture(try link.drained()) == "QR")
    }

    @Test func `that is cancelled ends where it is, and one that has not begun says so with as little as can be`() throws {
        let link = link()
        link.send(call: try request(1, on: link))
        #expect(picture(try link.take(link.drain(maximum: 40_000).buffers)) == "(..")
        link.send(call: try request(2, on: link))
        for number in 1...3 as ClosedRange<UInt64> { link.send(call: .cancel(CancelFrame(request: number))) }
        let arrivals = try link.drained()
        #expect(picture(arrivals) == "x(xC")
        #expect(arrivals.contains(.call(.request(2), .givenUp)))
        #expect(link.longCalls == 0)
    }

    @Test func `that nobody waits for takes along what is behind it`() throws {
        let link = link()
        link.send(call: try reply(to: 1, on: link))
        link.send(call: try reply(to: 1, on: link, bytes: 8, isLast: true))
        link.send(call: try reply(to: 2, on: link))
        #expect(link.giveUp(.reply(2)))
        #expect(picture(try link.take(link.drain(maximum: 20_000).buffers)) == "(.")
        #expect(link.giveUp(.reply(1)))
        #expect(!link.giveUp(.reply(1)))
        #expect(picture(try link.drained()) == "x")
    }

    @Test func `says what is left of its deadline when it begins`() throws {
        let link = link()
        link.send(call: try request(1, on: link, deadline: .seconds(9)), at: .seconds(100))
        #expect(link.hasDeadlines)
        link.expire(at: .seconds(102))
        #expect(link.hasDeadlines)
        var buffers: [ByteBuffer] = []
        while true {
            let drained = link.drain(maximum: 64 << 10, at: .seconds(104))
            buffers += drained.buffers
            if !drained.hasMore { break }
        }
        guard case .request(let request)? = wholes(try link.take(buffers)).first else {
            throw LLMgineError(.malformedFrame, "it never came")
        }
        #expect(request.deadline == .seconds(5))
    }

    @Test func `waits until the peer allows as much to be under way`() throws {
        let link = link()
        for number in 1...40 as ClosedRange<UInt64> { link.send(call: try request(number, on: link)) }
        let first = picture(try link.take(link.drain(maximum: 40 * (16 << 10)).buffers))
        #expect(first.filter { $0 == "(" }.count == 31, "31 of 1 MiB and a little are within 32 MiB")
        let arrivals = try link.drained()
        #expect(wholes(arrivals).count == 40)
        #expect(link.longCalls == 0)
    }

    @Test func `is finished before its topic's number means something else`() throws {
        var limits = Outbox.Limits()
        limits.texts = 2
        let link = link(limits: limits)
        for number in 1...3 as ClosedRange<UInt64> { link.send(call: try reply(to: number, on: link)) }
        link.send(call: try reply(to: 1, on: link, bytes: 8, isLast: true))
        #expect(picture(try link.take(link.drain(maximum: 40_000).buffers)) == "(((")
        _ = try link.encode(.of("x"))
        _ = try link.encode(.of("y"))
        let arrivals = try link.drained()
        let renumbering = try #require(arrivals.lastIndex { if case .intern(1, _) = $0 { true } else { false } })
        #expect(wholes(Array(arrivals[..<renumbering])).count == 3)
        #expect(picture(arrivals).filter { $0 == "R" } == "R")
        link.send(call: try reply(to: 4, on: link))
        #expect(picture(try link.drained()).hasSuffix(")"))
    }
}

@Suite struct `Parts of requests and replies` {
    private func head(_ number: UInt64 = 1, length: UInt64 = 100, deadline: Duration = .seconds(5)) -> CallPartFrame.Head {
        .init(
            frame: .request(
                RequestFrame(request: number, flow: 7, deadline: deadline, replyMessages: 1, replyBytes: .max, message: ByteBuffer())),
            length: length)
    }

    private func bytes(_ count: Int) -> ByteBuffer { ByteBuffer(repeating: 1, count: count) }

    private func begin(
        _ number: UInt64 = 1, _ head: CallPartFrame.Head, count: Int = 40, isKept: Bool = true, in assembly: inout CallAssembly
    ) throws {
        let part = CallPartFrame(.request(number), .first(head), bytes: bytes(count))
        try assembly.check(part, head, limits: WireLimits())
        assembly.begin(part, head, isKept: isKept, at: .seconds(10))
    }

    @Test func `make the frame that they were, with what is left of its deadline`() throws {
        var assembly = CallAssembly()
        try begin(1, head(), in: &assembly)
        #expect(try assembly.proceed(CallPartFrame(.request(1), .between, bytes: bytes(10)), at: .seconds(11)) == .open)
        #expect(assembly.bytes == 50)
        let outcome = try assembly.proceed(CallPartFrame(.request(1), .last, bytes: bytes(50)), at: .seconds(12))
        guard case .complete(.request(let request)) = outcome else { throw LLMgineError(.malformedFrame, "\(outcome)") }
        #expect(request.deadline == .seconds(3))
        #expect(request.message == bytes(100))
        #expect((assembly.count, assembly.bytes) == (0, 0))
    }

    @Test func `are held only while somebody waits for them`() throws {
        var assembly = CallAssembly()
        try begin(1, head(), isKept: false, in: &assembly)
        try begin(2, head(2), in: &assembly)
        #expect((assembly.count, assembly.bytes) == (2, 40))
        assembly.expire(at: .seconds(14))
        #expect(assembly.bytes == 40)
        assembly.expire(at: .seconds(15))
        #expect((assembly.count, assembly.bytes) == (2, 0))
        #expect(try assembly.proceed(CallPartFrame(.request(1), .last, bytes: bytes(60)), at: .seconds(11)) == .open)
        #expect(try assembly.proceed(CallPartFrame(.request(2), .last, bytes: bytes(60)), at: .seconds(15)) == .expired(head(2)))
        try begin(1, head(), in: &assembly)
        #expect(try assembly.proceed(CallPartFrame(.request(1), .givenUp), at: .seconds(11)) == .givenUp(head()))
        #expect((assembly.count, assembly.bytes) == (0, 0))
    }

    @Test func `of an answer are not overtaken by the rest of it`() throws {
        var assembly = CallAssembly()
        let head = CallPartFrame.Head(frame: .reply(ReplyFrame(request: 1, isLast: false, message: ByteBuffer())), length: 9)
        let part = CallPartFrame(.reply(1), .first(head), bytes: bytes(3))
        try assembly.check(part, head, limits: WireLimits())
        assembly.begin(part, head, isKept: true, at: .zero)
        #expect(throws: LLMgineError(.malformedFrame, "")) { try assembly.permits(replyTo: 1) }
        try assembly.permits(replyTo: 2)
    }

    @Test func `are refused if they cannot be right`() throws {
        var assembly = CallAssembly()
        func refuses(_ code: LLMgineError.Code, _ body: (inout CallAssembly) throws -> Void) {
            var assembly = assembly
            let error = #expect(throws: LLMgineError.self) { try body(&assembly) }
            #expect(error?.code == code)
        }
        refuses(.malformedFrame) { _ = try $0.proceed(CallPartFrame(.request(1), .between, bytes: bytes(1)), at: .zero) }
        refuses(.malformedFrame) { _ = try $0.proceed(CallPartFrame(.reply(1), .givenUp), at: .zero) }
        refuses(.malformedFrame) { try begin(1, head(), count: 100, in: &$0) }
        refuses(.limitExceeded) { try begin(1, head(length: 1 << 21), in: &$0) }
        refuses(.limitExceeded) { try begin(1, head(length: .max), in: &$0) }
        try begin(1, head(), in: &assembly)
        refuses(.malformedFrame) { try begin(1, head(), in: &$0) }
        refuses(.malformedFrame) { _ = try $0.proceed(CallPartFrame(.reply(1), .last, bytes: bytes(60)), at: .zero) }
        refuses(.malformedFrame) { _ = try $0.proceed(CallPartFrame(.request(1), .between, bytes: bytes(60)), at: .zero) }
        refuses(.malformedFrame) { _ = try $0.proceed(CallPartFrame(.request(1), .last, bytes: bytes(59)), at: .zero) }
        refuses(.malformedFrame) { _ = try $0.proceed(CallPartFrame(.request(1), .last, bytes: bytes(61)), at: .zero) }
        var crowd = assembly
        for number in 2...32 as ClosedRange<UInt64> { try begin(number, head(number, length: 1 << 20), in: &crowd) }
        #expect(throws: LLMgineError(.limitExceeded, "")) { try begin(33, head(33, length: 1 << 20), in: &crowd) }
        for number in 2...1024 as ClosedRange<UInt64> { try begin(number, head(number), isKept: false, in: &assembly) }
        refuses(.limitExceeded) { try begin(1025, head(1025), in: &$0) }
    }
}
