import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Testing

/// Times that nobody lives to see the end of. No clock can count to some of them.
@Suite(.timeLimit(.minutes(1))) struct `For ever` {
    private let bus = MessageBus(.swift)
    private let timers = TimerQueue()
    private static let times: [Duration] = [.seconds(Int64.max), .seconds(1e20)]

    @Test(arguments: times) func `a command may take`(time: Duration) async throws {
        try await bus.registerCommandHandler(Add.self) { command, _ in command.left + command.right }
        let result = await bus.execute(Add(left: 1, right: 2), options: .init(deadline: time))
        #expect(try result.value(as: Int.self) == 3)
        await bus.stop()
    }

    @Test(arguments: times) func `a request may take`(time: Duration) async throws {
        try await bus.respond(to: "q") { message, _ in message.payload }
        let answer = try await bus.request(Message("q", "?"), options: .init(deadline: time))
        #expect(try await answer.first().text == "?")
        await bus.stop()
    }

    @Test(arguments: times) func `a handler, its publisher and the stop may take`(time: Duration) async throws {
        let seen = Journal<Int>()
        try await bus.subscribe("t", options: .init(handlerDeadline: time)) { (tick: Tick, _) in seen.add(tick.number) }
        let receipt = try await bus.publish(
            Tick(number: 1), to: "t", options: .init(timeToLive: time), until: .processed(within: time))
        #expect(receipt.slow == [])
        #expect(seen.entries == [1])
        #expect(await bus.stop(deadline: time) == [:])
    }

    @Test func `a timer waits, and holds up no other`() async {
        let ran = Journal<Int>()
        timers.schedule(at: .now + .seconds(Int64.max)) { ran.add(2) }
        timers.schedule(at: .now) { ran.add(1) }
        #expect(await ran.first(1) == [1])
    }

    @Test func `moments saturate both ways`() {
        let now = ContinuousClock.now
        let times: [Duration] = [.seconds(1), .seconds(-1), .seconds(Int64.max), .seconds(Int64.min)]
        let reached = times.map { now.advanced(bySaturating: $0) - now }
        let expected: [Duration] = [.seconds(1), .seconds(-1), .horizon, Duration.zero - .horizon]
        #expect(reached == expected)
    }
}
