import LLMgineBus
import LLMgineCore
import LLMgineResilience
import NIOCore
import Synchronization
import Testing

/// Guarantee G14: what a handler has not begun when its subscription ends is in the dead letters, even if the handler never returns.
@Suite(.timeLimit(.minutes(1))) struct `Behind a handler that never returns` {
    @Test func `the rest of its chunk goes to the dead letters, once`() async throws {
        let bus = MessageBus(.swift)
        let deaf = try await DeafSubscription(on: bus)
        for number in 1...10 { try await bus.publish(Tick(number: number), to: "t", options: .init(headers: ["k": "\(number)"])) }
        await deaf.begin()
        #expect(await bus.stop(deadline: .zero) == ["deaf": 10])
        #expect(try bus.numbers == Array(2...10))
        #expect(bus.deadLetters.list().map(\.content.headers["k"]) == (2...10).map { "\($0)" })
        #expect(bus.deadLetters.list().allSatisfy { $0.error.code == .stopped && $0.attempts == 0 && $0.subscription == "deaf" })
        #expect((deaf.statistics.stopped, deaf.statistics.queued) == (9, 1))
        await deaf.release()
        #expect(deaf.seen.entries == [0, 1])
        #expect(try bus.numbers == Array(2...10))
        #expect((deaf.statistics.processed, deaf.statistics.queued) == (2, 0))
    }

    @Test func `values without headers are saved as well, and so is what came after the chunk`() async throws {
        let bus = MessageBus(.swift)
        let deaf = try await DeafSubscription(on: bus)
        for number in 1...10 { try await bus.publish(Tick(number: number), to: "t") }
        await deaf.begin()
        for number in 11...15 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await bus.stop(deadline: .zero) == ["deaf": 15])
        #expect(try bus.numbers == Array(2...15))
        await deaf.release()
        #expect(deaf.seen.entries == [0, 1])
        #expect(bus.deadLetters.added == 14)
    }

    @Test func `messages in bytes are saved as they came`() async throws {
        let bus = MessageBus(.swift)
        let deaf = try await DeafSubscription(on: bus)
        let texts = (1...10).map { #"{"number":\#($0),"publisher":0}"# }
        for text in texts { try await bus.publish(Message("t", text)) }
        await deaf.begin()
        #expect(await bus.stop(deadline: .zero) == ["deaf": 10])
        #expect(bus.deadLetters.list().map(\.content.text) == Array(texts.dropFirst()))
        await deaf.release()
        #expect(deaf.seen.entries == [0, 1])
    }

    @Test func `a chunk that it left for something more urgent is saved`() async throws {
        let bus = MessageBus(.swift)
        let deaf = try await DeafSubscription(on: bus, deafTo: 100)
        let first = Gate()
        deaf.during.withLock { $0[1] = first }
        for number in 1...5 { try await bus.publish(Tick(number: number), to: "t") }
        deaf.start.open()
        await deaf.seen.first(2)
        for number in 100...102 { try await bus.publish(Tick(number: number), to: "t", options: .init(priority: .urgent)) }
        first.open()
        await deaf.seen.first(3)
        #expect(await bus.stop(deadline: .zero) == ["deaf": 7])
        #expect(try bus.numbers == [101, 102, 2, 3, 4, 5])
        await deaf.release()
        #expect(deaf.seen.entries == [0, 1, 100])
        #expect(bus.deadLetters.added == 6)
    }

    @Test(arguments: [true, false])
    func `the rest of a chunk that came over a link is saved`(isUniform: Bool) async throws {
        let bus = MessageBus(.swift)
        let deaf = try await DeafSubscription(on: bus, deafTo: 3)
        let credit = Credit()
        let subscriber = deaf.subscription.subscriber
        #expect(subscriber.deliver(InboundDelivery(chunk: TickChunk(1...10, isUniform: isUniform), credit: credit)))
        #expect(subscriber.deliver(InboundDelivery(chunk: TickChunk(11...12, isUniform: isUniform), credit: credit)))
        deaf.start.open()
        await deaf.seen.first(4)
        #expect(await bus.stop(deadline: .zero) == ["deaf": 10])
        #expect(try bus.numbers == Array(4...12))
        #expect(bus.deadLetters.list().map(\.message.sequence) == Array(4...12))
        #expect(Set(bus.deadLetters.list().map(\.message.node)) == ["far"])
        await deaf.release()
        #expect(deaf.seen.entries == [0, 1, 2, 3])
        #expect(bus.deadLetters.added == 9)
        #expect((credit.messages, deaf.statistics.queued) == (12, 0))
    }

    @Test(arguments: [HandlerOrdering.subscription, .session])
    func `what several handlers at once have not begun is saved`(ordering: HandlerOrdering) async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        let gate = Gate()
        let subscription = try await bus.subscribe("t", options: .init(name: "deaf", concurrency: 2, ordering: ordering)) {
            (tick: Tick, _) in
            seen.add(tick.number)
            await gate.pass()
        }
        // Two sessions, so that some wait for their session and others for a place.
        for number in 0..<20 {
            try await bus.publish(Tick(number: number), to: "t", options: .init(session: SessionID("s\(number % 2)")))
        }
        await seen.first(2)
        #expect(await bus.stop(deadline: .zero) == ["deaf": 20])
        let begun = Set(seen.entries)
        #expect(begun == [0, 1])
        #expect(try bus.numbers.sorted() == Array(2..<20))
        gate.open()
        await subscription.cancel()
        #expect((seen.entries.count, bus.deadLetters.added) == (2, 18))
        #expect(subscription.statistics.queued == 0)
    }

    @Test func `the queue is saved while a cancellation still waits for it`() async throws {
        let bus = MessageBus(.swift)
        let deaf = try await DeafSubscription(on: bus)
        for number in 1...10 { try await bus.publish(Tick(number: number), to: "t") }
        await deaf.begin()
        let letters = bus.deadLetters.arrivals()
        async let ending: Void = deaf.subscription.cancel()
        var saved: [Int] = []
        for await letter in letters {
            saved.append(try Tick(decoding: letter.content.payload).number)
            if saved.count == 9 { break }
        }
        #expect(saved == Array(2...10))
        deaf.gate.open()
        await ending
        #expect((deaf.seen.entries, bus.deadLetters.added) == ([0, 1], 9))
        await bus.stop()
    }

    @Test func `a stop saves what a cancellation has not saved yet`() async throws {
        let bus = MessageBus(.swift)
        let deaf = try await DeafSubscription(on: bus)
        for number in 1...10 { try await bus.publish(Tick(number: number), to: "t") }
        await deaf.begin()
        async let ending: Void = deaf.subscription.cancel()
        while bus.subscriptionCount > 0 { await Task.yield() }
        await bus.stop(deadline: .zero)
        #expect(try bus.numbers == Array(2...10))
        deaf.gate.open()
        await ending
        #expect((deaf.seen.entries, bus.deadLetters.added) == ([0, 1], 9))
    }

    @Test func `a handler that returns while its queue is being saved takes nothing twice`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: nil, deadLetterCapacity: 100_000))
        let seen = Journal<[Int]>()
        let (handlers, events) = (20, 500)
        let gates = (0..<handlers).map { _ in Gate() }
        var subscriptions: [Subscription] = []
        for index in 0..<handlers {
            subscriptions.append(
                try await bus.subscribe("t", options: .init(name: "\(index)")) { (tick: Tick, _) in
                    seen.add([index, tick.number])
                    await gates[index].pass()
                })
        }
        for number in 0..<events { try await bus.publish(Tick(number: number), to: "t") }
        await seen.first(handlers)
        let letters = bus.deadLetters.arrivals()
        async let left = bus.stop(deadline: .zero)
        // Each returns while its own queue is being saved, or a little later.
        var open: Set<String> = []
        for await letter in letters where open.insert(letter.subscription).inserted {
            gates[Int(letter.subscription) ?? 0].open()
            if open.count == handlers { break }
        }
        #expect(await left.values.allSatisfy { $0 == events })
        for subscription in subscriptions { await subscription.cancel() }
        let saved = try bus.deadLetters.list().map { [Int($0.subscription) ?? -1, try Tick(decoding: $0.content.payload).number] }
        let all = (0..<handlers).flatMap { index in (0..<events).map { [index, $0] } }
        #expect((seen.entries + saved).sorted { $0.lexicographicallyPrecedes($1) } == all)
        #expect(subscriptions.allSatisfy { $0.statistics.queued == 0 })
    }
}

extension MessageBus {
    /// The numbers of the events in the dead letters.
    fileprivate var numbers: [Int] { get throws { try deadLetters.list().map { try Tick(decoding: $0.content.payload).number } } }
}

/// A subscription that takes its events in one chunk: its handler is held at number 0 until the start, and then deaf to everything at another.
private struct DeafSubscription {
    let subscription: Subscription
    let start = Gate()
    let gate = Gate()
    let seen = Journal<Int>()
    let during = Shared<[Int: Gate]>([:])

    init(on bus: MessageBus, deafTo number: Int = 1) async throws {
        during.withLock { [start, gate] in $0 = [0: start, number: gate] }
        subscription = try await bus.subscribe("t", options: .init(name: "deaf")) { [seen, during] (tick: Tick, _) in
            seen.add(tick.number)
            await during.withLock { $0[tick.number] }?.pass()
        }
        try await bus.publish(Tick(number: 0), to: "t")
        await seen.first(1)
    }

    var statistics: Subscription.Statistics { subscription.statistics }

    /// Goes on to the first event of the chunk.
    func begin() async {
        start.open()
        await seen.first(2)
    }

    /// Lets the handler return, and waits until the consumer has ended.
    func release() async {
        gate.open()
        await subscription.cancel()
    }
}

private final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { value.withLock { body(&$0) } }
}

/// Ticks as they come over a link.
private final class TickChunk: InboundChunk {
    private let numbers: ClosedRange<Int>
    let common: Message?

    init(_ numbers: ClosedRange<Int>, isUniform: Bool) {
        self.numbers = numbers
        var message = Message("t", "")
        message.eventType = Tick.eventType
        common = isUniform ? message : nil
    }

    var count: Int { numbers.count }
    var priority: Priority { .normal }
    var node: NodeID { "far" }
    var incarnation: Incarnation { Incarnation(7) }

    func content(at index: Int) -> (payload: ByteBuffer, sequence: UInt64) {
        let number = numbers.lowerBound + index
        return (ByteBuffer(string: #"{"number":\#(number),"publisher":0}"#), UInt64(number))
    }

    func message(at index: Int) -> InboundMessage {
        let (payload, sequence) = content(at: index)
        var message = Message("t", "")
        message.eventType = Tick.eventType
        message.payload = payload
        return InboundMessage(message: message, sequence: sequence, encodedBytes: payload.readableBytes)
    }
}

/// Counts what comes back.
private final class Credit: CreditReturn {
    private let returned = Atomic<Int>(0)
    var messages: Int { returned.load(ordering: .relaxed) }
    func consumed(messages: Int, bytes: Int) { returned.add(messages, ordering: .relaxed) }
}
