import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Testing

private protocol OrderEvent: Event {
    var order: Int { get }
}

private struct OrderPlaced: OrderEvent { var order: Int }
private struct OrderShipped: OrderEvent { var order: Int; var by: String }
private struct OrderLost: OrderEvent { var order: Int }

@Suite(.timeLimit(.minutes(1))) struct `A handler of a family of events` {
    private let bus = MessageBus(.swift)
    private let orders = EventFamily<any OrderEvent>().including(OrderPlaced.self) { $0 }.including(OrderShipped.self) { $0 }

    @Test func `takes every type of the family as what they share, in order, and no other`() async throws {
        let seen = Journal<String>()
        try await bus.subscribe(to: orders) { event, context in seen.add("\(type(of: event)) \(event.order) \(context.topic)") }
        for number in 0..<3 {
            #expect(try await bus.publish(OrderPlaced(order: number)).matched == 1)
            #expect(try await bus.publish(OrderShipped(order: number, by: "sea")).matched == 1)
            #expect(try await bus.publish(OrderLost(order: number)).matched == 0)
        }
        await bus.stop()
        #expect(
            seen.entries
                == (0..<3).flatMap { ["OrderPlaced \($0) events.OrderPlaced", "OrderShipped \($0) events.OrderShipped"] })
        #expect(orders.eventTypes == ["OrderPlaced", "OrderShipped"])
    }

    @Test func `takes bytes by the name of their type`() async throws {
        let seen = Journal<Int>()
        try await bus.subscribe(to: orders, on: ["t"]) { event, _ in seen.add(event.order) }
        var message = Message("t", #"{"order":7,"by":"air"}"#)
        #expect(try await bus.publish(message).matched == 0)
        message.eventType = "OrderLost"
        #expect(try await bus.publish(message).matched == 0)
        message.eventType = "OrderShipped"
        #expect(try await bus.publish(message).matched == 1)
        #expect(try await bus.publish(OrderLost(order: 1), to: "t").matched == 0)
        await bus.stop()
        #expect(seen.entries == [7])
    }

    @Test func `may take what the types are made into`() async throws {
        let seen = Journal<String>()
        let family = EventFamily<String>().including(Tick.self) { "tick \($0.number)" }.including(Tock.self) { "tock \($0.text)" }
        try await bus.subscribe(to: family) { text, _ in
            seen.add(text)
            if text == "tock b" { throw Verdict(isRetryable: false) }
        }
        try await bus.publish(Tick(number: 1))
        try await bus.publish(Tock(text: "a"))
        try await bus.publish(Tock(text: "b"))
        await bus.stop()
        #expect(seen.entries == ["tick 1", "tock a", "tock b"])
        #expect(bus.deadLetters.list().map(\.encodingError?.code) == [.badPayload])
    }

    @Test func `finds its type again in the dead letters`() async throws {
        let seen = Journal<String>()
        try await bus.subscribe(to: orders) { event, context in
            seen.add("\(type(of: event)) \(event.order) \(context.attempt)")
            if context.attempt == 1 { throw Verdict(isRetryable: false) }
        }
        try await bus.publish(OrderShipped(order: 3, by: "sea"), until: .processed)
        #expect(bus.deadLetters.list().map(\.content.eventType) == ["OrderShipped"])
        #expect(bus.deadLetters.retryAll() == 1)
        #expect(await seen.first(2) == ["OrderShipped 3 1", "OrderShipped 3 2"])
        await bus.stop()
    }

    @Test func `works within a session, with other handlers beside it, and when its queue is full`() async throws {
        let session = try await bus.createSession("s")
        let gate = Gate()
        let started = Gate()
        let seen = Journal<Int>()
        try await session.subscribe(to: orders, options: .init(capacity: 1, whenFull: .block(deadline: .seconds(600)))) { event, _ in
            started.open()
            await gate.pass()
            seen.add(event.order)
        }
        let plain = Journal<Int>()
        try await bus.subscribe(to: OrderPlaced.self) { event, _ in plain.add(event.order) }
        try await session.publish(OrderPlaced(order: 1))
        await started.pass()
        let publisher = Task { try await session.publish(OrderPlaced(order: 2)) }
        while !bus.isHoldingPublishersBack { await Task.yield() }
        gate.open()
        #expect(try await publisher.value.accepted == 2)
        await bus.stop()
        #expect((seen.entries, plain.entries) == ([1, 2], [1, 2]))
    }

    @Test func `needs types, and no more topics than a subscription may have`() async throws {
        await #expect(throws: LLMgineError(.invalidArgument, "")) {
            try await bus.subscribe(to: EventFamily<any OrderEvent>()) { _, _ in }
        }
        await bus.stop()
    }
}
