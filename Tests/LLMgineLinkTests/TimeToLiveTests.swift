import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A message with a time to live` {
    private func append(
        _ sequence: UInt64, lives: Duration?, to link: OneWay, flows: [UInt32] = [1], at now: Duration, bytes: Int = 8
    ) throws {
        var message = Message.of("a", bytes: bytes)
        message.timeToLive = lives
        #expect(try link.append(message, sequence: sequence, to: flows, at: now) == .queued(evicted: 0, rejected: 0))
    }

    private func drained(_ link: OneWay, at now: Duration) throws -> [Inbox.Arrival] {
        try link.take(link.drain(maximum: .max, at: now).buffers)
    }

    private func lives(_ arrivals: [Inbox.Arrival]) -> [Duration?] {
        arrivals.flatMap { arrival -> [Duration?] in
            switch arrival {
            case .data(_, _, let letters), .whole(_, _, let letters): return letters.map(\.timeToLive)
            default: return []
            }
        }
    }

    @Test func `goes out with what is left of it`() throws {
        let link = OneWay()
        try append(1, lives: .seconds(10), to: link, at: .seconds(100))
        try append(2, lives: nil, to: link, at: .zero)
        try append(3, lives: .seconds(5), to: link, at: .seconds(101))
        let arrivals = try drained(link, at: .seconds(103))
        #expect(lives(arrivals) == [.seconds(7), nil, .seconds(3)])
        #expect(arrivals.data == [Parcel([1], 1...3)])
        #expect(link.hasDeadlines)
        link.expire(at: .seconds(103))
        #expect(!link.hasDeadlines)
    }

    @Test func `whose time is over before there is credit is not sent, and told of`() throws {
        let link = OneWay(window: .messages(1))
        try append(1, lives: .seconds(1), to: link, at: .zero)
        try append(2, lives: .seconds(1), to: link, at: .zero)
        try append(3, lives: .seconds(1), to: link, at: .zero)
        try append(4, lives: .seconds(9), to: link, at: .zero)
        #expect(try drained(link, at: .zero).data == [Parcel([1], [1])])
        _ = link.granted(flow: 1, .plenty)
        let arrivals = try drained(link, at: .seconds(2))
        #expect(arrivals.first == .expired(1, .normal, 2))
        #expect(arrivals.data == [Parcel([1], [4])])
        #expect(lives(arrivals) == [.seconds(7)])
        #expect(link.room(flow: 1) > 1 << 40, "what was not sent has cost nothing")
    }

    @Test func `whose time is over behind one that has some left is sent without any`() throws {
        let link = OneWay()
        try append(1, lives: .seconds(9), to: link, at: .zero)
        try append(2, lives: .seconds(1), to: link, at: .zero)
        #expect(lives(try drained(link, at: .seconds(2))) == [.seconds(7), .zero])
    }

    @Test func `makes room when it is over, and the subscriber hears of it while it still has no credit`() throws {
        let link = OneWay(window: .none, limits: .messages(2))
        for number in 1...2 as ClosedRange<UInt64> { try append(number, lives: .seconds(1), to: link, at: .zero) }
        #expect(try link.append(3) == .full)
        _ = try link.take(link.drain(maximum: .max, at: .zero).buffers)
        link.expire(at: .seconds(2))
        #expect(try link.drained() == [.expired(1, .normal, 2)])
        #expect(!link.isTurningAway(flows: [1]))
        #expect(link.queued.isEmpty)
        #expect(!link.hasDeadlines)
    }

    @Test func `is counted for each flow by itself`() throws {
        let link = OneWay()
        link.opened(flow: 2, whenFull: .block, window: .none)
        try append(1, lives: .seconds(1), to: link, flows: [1, 2], at: .zero)
        try append(2, lives: .seconds(4), to: link, flows: [1, 2], at: .zero)
        let arrivals = try drained(link, at: .milliseconds(500))
        #expect(arrivals.data == [Parcel([1], 1...2)])
        #expect(lives(arrivals) == [.milliseconds(500), .milliseconds(3500)])
        _ = link.granted(flow: 2, .plenty)
        let late = try drained(link, at: .seconds(2))
        #expect(late.first == .expired(2, .normal, 1))
        #expect(late.data == [Parcel([2], [2])])
        #expect(lives(late) == [.seconds(2)])
    }

    @Test func `that is long goes in parts all the same`() throws {
        let link = OneWay()
        try append(1, lives: .seconds(300), to: link, at: .zero, bytes: 100_000)
        let arrivals = try drained(link, at: .seconds(299))
        #expect(lives(arrivals) == [.seconds(1)])
        #expect(arrivals.data == [Parcel([1], [1])])
    }

    @Test func `keeps it when topics get other numbers`() throws {
        var limits = Outbox.Limits()
        limits.texts = 2
        let link = OneWay(window: .none, limits: limits)
        try append(1, lives: .seconds(10), to: link, at: .zero)
        _ = try link.encode(.of("x"))
        _ = try link.encode(.of("y"))
        _ = link.granted(flow: 1, .plenty)
        #expect(lives(try drained(link, at: .seconds(4))) == [.seconds(6)])
    }
}
