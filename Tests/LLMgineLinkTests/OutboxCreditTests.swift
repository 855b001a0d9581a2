import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A flow's credit` {
    @Test func `cuts a chunk by messages, several times, and goes on after each grant`() throws {
        let link = OneWay(window: .messages(3))
        try link.fill(1...10)
        #expect(try link.drained().data == [Parcel([1], 1...3)])
        #expect(link.room(flow: 1) == -7)
        #expect(link.granted(flow: 1, .messages(4)))
        #expect(try link.drained().data == [Parcel([1], [4])])
        #expect(link.granted(flow: 1, .messages(9)))
        #expect(try link.drained().data == [Parcel([1], 5...9)])
        #expect(link.granted(flow: 1, .messages(12)))
        #expect(try link.drained().data == [Parcel([1], [10])])
        #expect(link.room(flow: 1) == 2)
        try link.fill(11...13)
        #expect(try link.drained().data == [Parcel([1], 11...12)])
    }

    @Test func `cuts a chunk by payload bytes, where messages have different lengths`() throws {
        let link = OneWay(window: .bytes(100))
        for (sequence, bytes) in zip(UInt64(1)..., [60, 40, 0, 1, 99, 100]) { try link.fill(sequence...sequence, bytes: bytes) }
        #expect(try link.drained().data == [Parcel([1], 1...3)])
        #expect(link.granted(flow: 1, .bytes(199)))
        #expect(try link.drained().data == [Parcel([1], [4])])
        #expect(link.granted(flow: 1, .bytes(200)))
        #expect(try link.drained().data == [Parcel([1], [5])])
        #expect(link.granted(flow: 1, .bytes(300)))
        #expect(try link.drained().data == [Parcel([1], [6])])
    }

    @Test func `is shared by flows that stand at the same message and can pay for as many`() throws {
        let link = OneWay(flows: 1...2, window: .messages(2))
        link.opened(flow: 3, whenFull: .block, window: .messages(3))
        try link.fill(1...4, to: [1, 2, 3])
        #expect(try link.drained().data == [Parcel([1, 2, 3], 1...2), Parcel([3], [3])])
        for flow in 1...3 as ClosedRange<UInt32> { #expect(link.granted(flow: flow, .plenty)) }
        #expect(try link.drained().data == [Parcel([1, 2], 3...4), Parcel([3], [4])])
    }

    @Test func `is asked for once when it is gone, and again only when a grant was not enough`() throws {
        let link = OneWay(window: .bytes(10))
        try link.fill(1...2, bytes: 10)
        #expect(
            try link.drained().last
                == .data([1], .normal, [Inbox.Letter(topic: "a", sequence: 1, payload: ByteBuffer(repeating: 0x2A, count: 10))]))
        try link.fill(3...3, bytes: 10)
        #expect(try link.drained() == [])
        #expect(!link.granted(flow: 1, .bytes(10)), "the same grant again")
        #expect(try link.drained() == [])
        #expect(link.granted(flow: 1, .bytes(15)))
        #expect(try link.drained() == [.blocked(1, .normal, at: Credit(messages: 1, bytes: 10))])
        #expect(link.granted(flow: 1, .bytes(25)))
        #expect(try link.drained().data == [Parcel([1], [2])])
    }

    @Test func `is given back when the peer asks, and asked for again by what waits`() throws {
        let link = OneWay(window: Credit(messages: 5, bytes: 100))
        try link.fill(1...2)
        #expect(try link.drained().data == [Parcel([1], 1...2)])
        link.drained(flow: 1)
        link.drained(flow: 1, .low)
        link.drained(flow: 7)
        #expect(
            try link.drained() == [
                .drained(1, .normal, at: Credit(messages: 5, bytes: 100)), .drained(1, .low, at: Credit(messages: 5, bytes: 100)),
            ])
        try link.fill(3...3)
        #expect(try link.drained() == [.blocked(1, .normal, at: Credit(messages: 5, bytes: 100))])
        #expect(link.granted(flow: 1, Credit(messages: 6, bytes: 108)))
        #expect(try link.drained().data == [Parcel([1], [3])])
    }

    @Test func `never goes back`() throws {
        let link = OneWay(window: .messages(2))
        #expect(!link.granted(flow: 1, .messages(1)))
        try link.fill(1...3)
        #expect(try link.drained().data == [Parcel([1], 1...2)])
    }

    @Test func `of one flow is nothing to the others`() throws {
        let link = OneWay(flows: 1...3)
        link.opened(flow: 4, whenFull: .block, window: .none)
        try link.fill(1...2, to: [4, 1], of: "a")
        try link.fill(3...4, to: [2, 4, 3], of: "b")
        try link.fill(5...5, to: [4], of: "c")
        #expect(Set(try link.drained().data) == [Parcel([1], 1...2), Parcel([2, 3], 3...4)])
        #expect(link.queued.map(\.messages) == [5])
        #expect(link.granted(flow: 4, .plenty))
        #expect(try link.drained().data == [Parcel([4], 1...2), Parcel([4], 3...4), Parcel([4], [5])])
    }
}

@Suite struct `A flow without room` {
    @Test func `that drops the oldest says how many are missing before what comes next`() throws {
        let link = OneWay(whenFull: .dropOldest, window: .messages(1), limits: .messages(3))
        try link.fill(1...3)
        #expect(try link.append(4) == .queued(evicted: 1, rejected: 0))
        #expect(try link.drained().drop { $0 != .gap(1, .normal, 1) }.first == .gap(1, .normal, 1))
        try link.fill(5...5)
        #expect(try link.append(6) == .queued(evicted: 1, rejected: 0))
        #expect(try link.append(7) == .queued(evicted: 1, rejected: 0))
        #expect(try link.drained() == [])
        #expect(link.granted(flow: 1, .plenty))
        let arrivals = try link.drained()
        #expect(arrivals.first == .gap(1, .normal, 2))
        #expect(
            arrivals.data == [Parcel([1], [5]), Parcel([1], 6...6), Parcel([1], [7])] || arrivals.data.flatMap(\.sequences) == [5, 6, 7])
        try link.fill(8...8)
        #expect(try link.drained().count == 1)
    }

    @Test func `that drops the oldest keeps the chunk of the others whole`() throws {
        let link = OneWay(limits: .messages(2))
        link.opened(flow: 2, whenFull: .dropOldest, window: .none)
        for sequence in 1...6 as ClosedRange<UInt64> {
            #expect(try link.append(sequence, to: [1, 2]) == .queued(evicted: sequence > 2 ? 1 : 0, rejected: 0))
            #expect(try link.drained().data == [Parcel([1], [sequence])])
        }
        #expect(link.granted(flow: 2, .plenty))
        let arrivals = try link.drained()
        #expect(arrivals.first == .gap(2, .normal, 4))
        #expect(arrivals.data.flatMap(\.sequences) == [5, 6])
    }

    @Test func `counts no byte of what went when a large message needs room`() throws {
        var limits = Outbox.Limits.messages(8)
        limits.bytes = 1000
        let link = OneWay(whenFull: .dropOldest, window: .none, limits: limits)
        try link.fill(1...8, bytes: 80)
        for sequence in 9...12 as ClosedRange<UInt64> { #expect(try link.append(sequence, bytes: 0) == .queued(evicted: 1, rejected: 0)) }
        // Four of 80 bytes and four of none are left. One more goes because there are eight, and the four that went before have left their bytes.
        #expect(try link.append(13, bytes: 440) == .queued(evicted: 1, rejected: 0))
        #expect(try link.append(14, bytes: 470) == .queued(evicted: 3, rejected: 0))
        #expect(link.queued.map(\.messages) == [6])
        #expect(link.granted(flow: 1, .plenty))
        let arrivals = try link.drained()
        #expect(arrivals.contains(.gap(1, .normal, 8)))
        #expect(arrivals.data.flatMap(\.sequences) == [9, 10, 11, 12, 13, 14])
    }

    @Test func `makes room for a large message with as many small ones as it takes`() throws {
        var limits = Outbox.Limits()
        limits.bytes = 1000
        let link = OneWay(whenFull: .dropOldest, window: .none, limits: limits)
        try link.fill(1...8, bytes: 100)
        #expect(try link.append(9, bytes: 500) == .queued(evicted: 4, rejected: 0))
        #expect(try link.append(10, bytes: 5000) == .queued(evicted: 5, rejected: 0), "an empty queue takes any one message")
        #expect(try link.append(11, bytes: 0) == .queued(evicted: 1, rejected: 0))
        #expect(link.granted(flow: 1, .plenty))
        #expect(
            try link.drained().dropFirst(1) == [
                .gap(1, .normal, 10), .data([1], .normal, [Inbox.Letter(topic: "a", sequence: 11, payload: ByteBuffer())]),
            ])
    }

    @Test func `that refuses the new leaves it to the others`() throws {
        let link = OneWay(flows: 1...1, window: .none, limits: .messages(4))
        link.opened(flow: 2, whenFull: .rejectNew, window: .none)
        try link.fill(1...2, to: [2])
        try link.fill(3...4, to: [1, 2])
        #expect(try link.append(5, to: [1, 2]) == .queued(evicted: 0, rejected: 1))
        #expect(try link.append(6, to: [2]) == .queued(evicted: 0, rejected: 1))
        #expect(link.granted(flow: 2, .messages(2)))
        #expect(try link.drained().data == [Parcel([2], 1...2)])
        try link.fill(7...7, to: [1, 2])
        #expect(link.granted(flow: 1, .plenty))
        #expect(link.granted(flow: 2, .plenty))
        let arrivals = try link.drained().data
        #expect(arrivals.filter { $0.flows.contains(1) }.flatMap(\.sequences) == [3, 4, 5, 7])
        #expect(arrivals.filter { $0.flows.contains(2) }.flatMap(\.sequences) == [3, 4, 7])
    }

    @Test func `that wants the publisher to wait takes nothing, for nobody, and calls at half`() throws {
        let link = OneWay(flows: 1...2, window: .messages(0), limits: .messages(4))
        link.opened(flow: 3, whenFull: .dropOldest, window: .plenty)
        try link.fill(1...4, to: [1])
        #expect(try link.append(5, to: [3, 1]) == .full)
        #expect(link.isTurningAway(flows: [1]))
        #expect(!link.isTurningAway(flows: [2, 3]))
        #expect(try link.take(link.drain(maximum: .max).buffers).data == [])
        _ = link.granted(flow: 1, .messages(1))
        #expect(!link.drain(maximum: .max).madeRoom)
        _ = link.granted(flow: 1, .messages(2))
        #expect(link.drain(maximum: .max).madeRoom)
        #expect(!link.isTurningAway(flows: [1]))
        #expect(!link.drain(maximum: .max).madeRoom, "said once")
        try link.fill(5...5, to: [3, 1])
    }

    @Test func `does not keep publishers from flows that have room again`() throws {
        let link = OneWay(flows: 1...2, window: .messages(0), limits: .messages(2))
        try link.fill(1...2, to: [1])
        try link.fill(3...4, to: [2])
        #expect(try link.append(5, to: [1]) == .full)
        #expect(try link.append(6, to: [2]) == .full)
        _ = link.granted(flow: 2, .messages(2))
        #expect(link.drain(maximum: .max).madeRoom)
        #expect(link.isTurningAway(flows: [1]))
        #expect(!link.isTurningAway(flows: [2]))
    }

    @Test func `holds publishers for its own deadline, whatever that of its neighbours is`() throws {
        let link = OneWay(flows: nil, limits: .messages(1))
        link.opened(flow: 1, whenFull: .block(deadline: .seconds(2)), window: .messages(0))
        link.opened(flow: 2, whenFull: .block(deadline: .seconds(7)), window: .messages(0))
        link.opened(flow: 3, whenFull: .dropOldest, window: .messages(0))
        link.opened(flow: 4, whenFull: .block(deadline: .seconds(1)), window: .plenty)
        #expect(link.holders(flows: [1, 2, 3, 4]) == [])
        try link.fill(1...1, to: [1, 2, 3, 4])
        _ = link.drain(maximum: .max)
        #expect(try link.append(2, to: [1, 2, 3, 4]) == .full)
        #expect(
            link.holders(flows: [4, 3, 2, 1, 9]) == [
                .init(flow: 2, deadline: .seconds(7), turn: 1), .init(flow: 1, deadline: .seconds(2), turn: 1),
            ],
            "of all that are full at once, and of no other")
        #expect(link.demoted(flows: [1]) == [1])
        #expect(link.holders(flows: [1, 2]) == [.init(flow: 2, deadline: .seconds(7), turn: 1)])
        #expect(try link.append(2, to: [1, 2, 3, 4]) == .full)
        #expect(link.demoted(flows: [2]) == [2])
        #expect(try link.append(2, to: [1, 2, 3, 4]) == .queued(evicted: 3, rejected: 0))
    }

    @Test func `is demoted: publishers go on, the oldest go, until nothing waits`() throws {
        let link = OneWay(flows: 1...2, window: .messages(0), limits: .messages(2))
        try link.fill(1...2, to: [1])
        #expect(link.demoted(flows: [1]) == [], "it has turned nobody away")
        #expect(try link.append(3, to: [1, 2]) == .full)
        #expect(link.demoted(flows: [1, 2]) == [1])
        #expect(link.demoted(flows: [1, 2]) == [])
        #expect(link.drain(maximum: .max).madeRoom, "others that wait for it need wait no more")
        #expect(try link.append(3, to: [1, 2]) == .queued(evicted: 1, rejected: 0))
        _ = link.granted(flow: 1, .messages(1))
        _ = link.drain(maximum: .max)
        try link.fill(4...4, to: [1])
        #expect(try link.append(5, to: [1]) == .queued(evicted: 1, rejected: 0), "still demoted")
        _ = link.granted(flow: 1, .messages(3))
        _ = link.drain(maximum: .max)
        try link.fill(6...7, to: [1])
        #expect(try link.append(8, to: [1]) == .full, "it had caught up")
    }

    @Test func `is demoted as well when it is only the bytes that a message finds no room for`() throws {
        var limits = Outbox.Limits()
        limits.bytes = 1000
        let link = OneWay(window: .none, limits: limits)
        try link.fill(1...1, bytes: 900)
        #expect(try link.append(2, bytes: 500) == .full)
        #expect(link.demoted(flows: [1]) == [1])
        #expect(try link.append(2, bytes: 500) == .queued(evicted: 1, rejected: 0))
    }

    @Test func `lets publishers go on when it is closed`() throws {
        let link = OneWay(window: .none, limits: .messages(1))
        try link.fill(1...1)
        #expect(try link.append(2) == .full)
        #expect(link.closed(flow: 1) == 1)
        #expect(link.drain(maximum: .max).madeRoom)
        #expect(try link.append(2) == .nobody)
    }

    @Test func `in one class has room in another`() throws {
        let link = OneWay(window: .messages(0), limits: .messages(2))
        try link.fill(1...2, priority: .low)
        #expect(try link.append(3, priority: .low) == .full)
        try link.fill(4...5, priority: .urgent)
        #expect(link.queued.map(\.messages) == [4])
    }
}
