import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Testing

/// What is under way when a bus stops without patience.
@Suite(.timeLimit(.minutes(1))) struct `On a bus that stops` {
    private let bus = MessageBus(.swift)
    private let gate = Gate()

    @Test func `a command that runs has its deadline`() async throws {
        let asked = Gate()
        try await bus.registerCommandHandler(Add.self) { [gate] command, _ in
            asked.open()
            await gate.pass()
            return command.left
        }
        let caller = Task { [bus] in await bus.execute(Add(left: 1, right: 2), options: .init(deadline: .milliseconds(300))) }
        await asked.pass()
        await bus.stop(deadline: .zero)
        #expect(await caller.value.error?.code == .deadlineExceeded)
        gate.open()
    }

    @Test func `whoever waits for a handler waits no longer than it wanted`() async throws {
        let started = Gate()
        try await bus.subscribe("t", options: .init(name: "held")) { [gate] (_: Tick, _) in
            started.open()
            await gate.pass()
        }
        let publisher = Task { [bus] in
            // Longer than the stop, which leaves the handler behind after half a second.
            try await bus.publish(Tick(number: 1), to: "t", until: .processed(within: .milliseconds(1500)))
        }
        await started.pass()
        await bus.stop(deadline: .zero)
        #expect(try await publisher.value.slow == ["held"])
        gate.open()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A bus that has stopped` {
    /// The wait for a handler that did not listen had used up the time for the store.
    @Test func `has waited for its store, whatever its handlers did`() async throws {
        let store = MemoryStore()
        store.flushes.close()
        let bus = MessageBus(configuration: .init(name: "n"), store: store)
        let held = try await HeldSubscription(on: bus, options: .init(name: "deaf"))
        for number in 1...2 { try await bus.publish(Tick(number: number), to: "t") }
        let order = Journal<String>()
        async let stopping: Void = {
            await bus.stop(deadline: .zero)
            order.add("stopped")
        }()
        await store.flushing.pass()
        #expect(bus.deadLetters.count == 2)
        for _ in 0..<100 { await Task.yield() }  // time enough for a stop that does not wait
        order.add("flushed")
        store.flushes.open()
        await stopping
        #expect(await order.first(2) == ["flushed", "stopped"])
        held.gate.open()
    }

    private struct Observer {
        weak var bus: MessageBus?
    }

    @Test func `is freed, whatever handlers it had`() async throws {
        let observer = try await life()
        try await until { observer.bus == nil }  // tasks that have just ended let go of it
    }

    /// A bus from beginning to end.
    private func life() async throws -> Observer {
        let bus = MessageBus(.swift)
        try await bus.registerCommandHandler(Add.self) { command, _ in command.left + command.right }
        try await bus.registerCommandHandler(Silent.self, options: .init(isRemote: false)) { _, _ in }
        try await bus.subscribe("t") { (_: Tick, _) in }
        try await bus.respond(to: "q") { message, _ in message.payload }
        #expect(try await bus.execute(Add(left: 1, right: 2)).value(as: Int.self) == 3)
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        #expect(await bus.stop() == [:])
        return Observer(bus: bus)
    }

    @Test func `shows no breakers of commands`() async throws {
        let bus = MessageBus(.swift)
        try await bus.registerCommandHandler(Add.self) { _, _ in 1 }
        #expect(bus.metrics().gauges[#"circuit_breaker_state{command="Add"}"#] == 0)
        await bus.stop()
        #expect(bus.metrics().gauges[#"circuit_breaker_state{command="Add"}"#] == nil)
    }
}
