import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTestKit
import LLMgineWire
import NIOCore
import Testing

@Suite struct `An outbox that keeps the newest of each key` {
    @Test func `sends everything while there is credit`() throws {
        let link = OneWay(whenFull: .conflate(by: .topic), window: .messages(3))
        try link.fill(1...3)
        #expect(try link.drained().data == [Parcel([1], 1...3)])
    }

    @Test func `keeps the newest of a topic while there is none, and tells of the others`() throws {
        let link = OneWay(whenFull: .conflate(by: .topic), window: .messages(1))
        #expect(try link.append(1, of: "a") == .queued(evicted: 0, rejected: 0))
        #expect(try link.append(2, of: "a") == .queued(evicted: 0, rejected: 0))
        #expect(try link.append(3, of: "b") == .queued(evicted: 0, rejected: 0))
        #expect(try link.append(4, of: "a") == .queued(evicted: 1, rejected: 0))
        #expect(link.queued.map(\.messages) == [3])
        let first = try link.drained()
        #expect(first.data == [Parcel([1], [1])])
        #expect(first.contains(.blocked(1, .normal, at: Credit(messages: 1, bytes: 8))))
        #expect(try link.append(5, of: "a") == .queued(evicted: 1, rejected: 0))
        #expect(link.granted(flow: 1, .messages(3)))
        let second = try link.drained()
        #expect(second.data == [Parcel([1], [3, 5])])
        #expect(second.contains(.gap(1, .normal, 2)))
        #expect(link.queued.isEmpty)
    }

    @Test func `goes by a header, and keeps what has none`() throws {
        let link = OneWay(whenFull: .conflate(by: .header("symbol")), window: .none)
        func append(_ sequence: UInt64, _ symbol: String?) throws -> Outbox.Appended {
            var message = Message.of("quotes")
            message.headers["symbol"] = symbol
            return try link.append(message, sequence: sequence)
        }
        #expect(try append(1, "A") == .queued(evicted: 0, rejected: 0))
        #expect(try append(2, nil) == .queued(evicted: 0, rejected: 0))
        #expect(try append(3, "B") == .queued(evicted: 0, rejected: 0))
        #expect(try append(4, nil) == .queued(evicted: 0, rejected: 0))
        #expect(try append(5, "A") == .queued(evicted: 1, rejected: 0))
        #expect(link.granted(flow: 1, .plenty))
        #expect(try link.drained().data == [Parcel([1], 2...5)])
    }

    @Test func `holds no more keys than there is room for`() throws {
        let link = OneWay(whenFull: .conflate(by: .topic), window: .none, limits: .messages(3))
        for number in 1...3 as ClosedRange<UInt64> {
            #expect(try link.append(number, of: Topic("t\(number)")) == .queued(evicted: 0, rejected: 0))
        }
        #expect(try link.append(4, of: "t4") == .queued(evicted: 1, rejected: 0))
        #expect(link.granted(flow: 1, .plenty))
        #expect(try link.drained().data == [Parcel([1], 2...4)])
    }

    @Test func `does so beside flows that do not`() throws {
        let link = OneWay(whenFull: .conflate(by: .topic), window: .messages(1))
        link.opened(flow: 2, whenFull: .block, window: .plenty)
        for number in 1...4 as ClosedRange<UInt64> { _ = try link.append(number, to: [1, 2]) }
        #expect(try link.drained().data.flatMap { parcel in parcel.flows.map { Parcel([$0], parcel.sequences) } }.count == 3)
        #expect(link.granted(flow: 1, .plenty))
        #expect(try link.drained().data == [Parcel([1], [4])])
    }

    @Test func `lets go what is out of time`() throws {
        let link = OneWay(whenFull: .conflate(by: .topic), window: .none)
        var message = Message.of("a")
        message.timeToLive = .seconds(1)
        _ = try link.append(message, sequence: 1, at: .seconds(10))
        _ = try link.append(.of("b"), sequence: 2, at: .seconds(10))
        #expect(link.granted(flow: 1, .plenty))
        let arrivals = try link.take(link.drain(maximum: .max, at: .seconds(12)).buffers)
        #expect(arrivals.data == [Parcel([1], [2])])
        #expect(arrivals.contains(.expired(1, .normal, 1)))
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `keeps order and the newest, and tells of the rest, under random use`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let link = OneWay(whenFull: .conflate(by: .topic), window: .messages(2), limits: .messages(100))
        var limit = Credit.messages(2)
        var (newest, last): ([Topic: UInt64], [Topic: UInt64]) = ([:], [:])
        var (sequence, evicted, told, delivered): (UInt64, Int, UInt64, UInt64) = (0, 0, 0, 0)
        func drain() throws {
            for arrival in try link.drained() {
                switch arrival {
                case .gap(_, _, let count): told += count
                case .data(_, _, let letters), .whole(_, _, let letters):
                    for letter in letters {
                        #expect(last[letter.topic, default: 0] < letter.sequence, "seed \(seed): \(letter) came late")
                        last[letter.topic] = letter.sequence
                        delivered += 1
                    }
                default: break
                }
            }
        }
        for _ in 0..<2000 {
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                limit.messages += .random(in: 0...6, using: &random)
                _ = link.granted(flow: 1, limit)
            case 1...2: try drain()
            default:
                sequence += 1
                let topic = try Topic("t\(Int.random(in: 0..<7, using: &random))")
                newest[topic] = sequence
                let bytes = Int.random(in: 0..<50, using: &random) == 0 ? 20_000 : 8
                guard case .queued(let gone, 0) = try link.append(sequence, of: topic, bytes: bytes) else {
                    Issue.record("seed \(seed): nobody waits here")
                    continue
                }
                evicted += gone
                #expect(link.queued.reduce(0) { $0 + $1.messages } <= 7 + 100, "seed \(seed)")
            }
        }
        _ = link.granted(flow: 1, .plenty)
        try drain()
        #expect(last == newest, "seed \(seed)")
        #expect(told == UInt64(evicted) && delivered + told == sequence, "seed \(seed)")
        #expect(evicted > 100, "seed \(seed): nothing much happened")
    }
}

@Suite struct `An outbox that slows publishers` {
    private let link = OneWay(whenFull: .adaptiveRateLimit, window: .messages(0), limits: .messages(8))

    @Test func `lets them be until three quarters of the room are taken`() throws {
        try link.fill(1...6)
        #expect(try link.append(7) == .paced(GrantPace.longestRest))
        #expect(link.isTurningAway(flows: [1]))
    }

    @Test func `lets them go on at the rate of the grants`() throws {
        try link.fill(1...6)
        #expect(try link.append(7) == .paced(GrantPace.longestRest))
        #expect(link.granted(flow: 1, .messages(1), at: .seconds(1)))
        #expect(try link.drained().data == [Parcel([1], [1])])
        // One a second was granted; 5 of 8 wait, so one comes in every 1.125 s.
        #expect(try link.append(7, at: .seconds(1)) == .queued(evicted: 0, rejected: 0))
        #expect(try link.append(8, at: .milliseconds(1500)) == .paced(GrantPace.longestRest))
        #expect(try link.append(8, at: .milliseconds(2260)) == .queued(evicted: 0, rejected: 0))
    }

    @Test func `no longer does when it is down to a quarter`() throws {
        try link.fill(1...6)
        #expect(try link.append(7) == .paced(GrantPace.longestRest))
        #expect(link.granted(flow: 1, .messages(4), at: .seconds(1)))
        #expect(try link.drained().data == [Parcel([1], 1...4)])
        for number in 7...10 as ClosedRange<UInt64> {
            #expect(try link.append(number, at: .seconds(1)) == .queued(evicted: 0, rejected: 0))
        }
    }

    @Test func `makes them wait when it is full, and lets the oldest go once its subscriber is demoted`() throws {
        try link.fill(1...6)
        #expect(try link.append(7) == .paced(GrantPace.longestRest))
        #expect(link.holders(flows: [1]) == [.init(flow: 1, deadline: .seconds(5), turn: 1)])
        #expect(link.demoted(flows: [1]) == [1])
        try link.fill(7...8)
        #expect(try link.append(9) == .queued(evicted: 1, rejected: 0))
    }

    @Test func `takes nothing for other flows while one is slowed`() throws {
        link.opened(flow: 2, whenFull: .block, window: .plenty)
        try link.fill(1...6)
        #expect(try link.append(7, to: [1, 2]) == .paced(GrantPace.longestRest))
        #expect(link.queued.map(\.flow) == [1])
    }
}
