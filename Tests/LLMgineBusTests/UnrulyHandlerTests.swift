import LLMgineBus
import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A handler that` {
    /// W15 of the predecessor: there were no timeouts.
    @Test func `never returns is left behind at its limit, tried again, and given up`() async throws {
        let bus = MessageBus(BusResilience(retry: RetryPolicy(maximumRetries: 1, initialDelay: .zero), circuitBreaker: nil))
        let gate = Gate()
        let seen = Journal<[Int]>()
        let subscription = try await bus.subscribe("t", options: .init(name: "h", handlerDeadline: .milliseconds(5))) {
            (tick: Tick, context) in
            seen.add([tick.number, context.attempt])
            if tick.number == 0 { await gate.pass() }
        }
        for number in 0..<2 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await seen.first(3) == [[0, 1], [0, 2], [1, 1]])
        #expect(await bus.stop() == [:])
        let letter = try #require(bus.deadLetters.list().first)
        #expect((letter.error.code, letter.attempts) == (.handlerFailed, 2))
        #expect(letter.error.detail.contains("did not return within"))
        #expect((subscription.statistics.processed, subscription.statistics.failed) == (1, 2))
        gate.open()
    }

    @Test func `never returns opens its breaker`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: BreakerPolicy(failureThreshold: 2, recovery: .seconds(3600))))
        let gate = Gate()
        let subscription = try await bus.subscribe("t", options: .init(handlerDeadline: .milliseconds(2))) { (_: Tick, _) in
            await gate.pass()
        }
        for number in 0..<5 { try await bus.publish(Tick(number: number), to: "t") }
        try await until { subscription.breakerState == .open }
        #expect(subscription.statistics.failed == 2)
        await bus.stop(deadline: .zero)
        gate.open()
    }

    @Test func `has a limit is told of the cancellation of its subscription`() async throws {
        let bus = MessageBus(.swift)
        let started = Gate()
        let cancelled = Gate()
        let subscription = try await bus.subscribe("t", options: .init(handlerDeadline: .seconds(3600))) { (_: Tick, _) in
            started.open()
            do { try await cancellation() } catch {
                cancelled.open()
                throw error
            }
        }
        try await bus.publish(Tick(number: 1), to: "t")
        await started.pass()
        await subscription.cancel()
        #expect(cancelled.isOpen)
        #expect(bus.deadLetters.list().map(\.error.code) == [.stopped])
        await bus.stop()
    }

    @Test func `keeps its limit costs nothing but a task`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        try await bus.subscribe("t", options: .init(handlerDeadline: .seconds(3600))) { (tick: Tick, context) in
            seen.add(tick.number)
            if tick.number == 1, context.attempt == 1 { throw Mishap() }
        }
        for number in 0..<3 { try await bus.publish(Tick(number: number), to: "t") }
        await bus.stop()
        #expect(seen.entries == [0, 1, 1, 2])
    }

    @Test func `publishes in a loop leaves room for others, and ends with the bus`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        let around = Journal<Int>()
        try await bus.subscribe("loop", options: .init(name: "loop", capacity: 16)) { (tick: Tick, _) in
            if tick.number == 1000 { around.add(1) }
            try await bus.publish(Tick(number: tick.number + 1), to: "loop")
        }
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        try await bus.publish(Tick(number: 0), to: "loop")
        await around.first(1)
        for number in 0..<100 { try await bus.publish(Tick(number: number), to: "t") }
        #expect(await seen.first(100) == Array(0..<100))
        // Publishing is over, so the last event of the loop fails and is kept.
        #expect(await bus.stop() == [:])
        #expect(bus.deadLetters.list().map(\.error.code) == [.stopped])
    }

    @Test func `publishes more than it takes away loses its own oldest and harms nobody`() async throws {
        let bus = MessageBus(.swift)
        let seen = Journal<Int>()
        let busy = Journal<Int>()
        let subscription = try await bus.subscribe("storm", options: .init(capacity: 8)) { (tick: Tick, _) in
            busy.add(1)
            for _ in 0..<2 { try await bus.publish(Tick(number: 0), to: "storm") }
        }
        try await bus.subscribe("t") { (tick: Tick, _) in seen.add(tick.number) }
        try await bus.publish(Tick(number: 0), to: "storm")
        await busy.first(100)
        try await bus.publish(Tick(number: 7), to: "t")
        #expect(await seen.first(1) == [7])
        #expect(subscription.statistics.queued <= 9 && subscription.statistics.evicted > 0)
        await bus.stop()
    }

    @Test func `does not listen to its cancellation does not keep a command's caller`() async throws {
        let bus = MessageBus(.swift)
        let gate = Gate()
        let asked = Gate()
        try await bus.registerCommandHandler(Add.self) { _, _ in
            asked.open()
            await gate.pass()
        }
        let caller = Task { await bus.execute(Add(left: 1, right: 1)) }
        await asked.pass()
        caller.cancel()
        let result = await caller.value
        #expect((result.error?.code, result.isRetryable) == (.cancelled, false))
        gate.open()
        await bus.stop()
    }

    /// W15 of the predecessor: a breaker rested for a minute at least, and then let everybody through at once.
    @Test func `recovers is let through again within a second, by one probe at a time`() async throws {
        let bus = MessageBus(
            BusResilience(
                retry: .never, circuitBreaker: BreakerPolicy(failureThreshold: 1, recovery: .milliseconds(20), successThreshold: 1)))
        let works = Atomicity()
        let probes = Journal<Int>()
        let gate = Gate()
        try await bus.registerCommandHandler(Add.self) { _, _ in
            guard works.value else { throw Mishap() }
            probes.add(1)
            await gate.pass()
        }
        #expect(await bus.execute(Add(left: 1, right: 1)).error?.code == .handlerFailed)
        #expect(await bus.execute(Add(left: 1, right: 1)).error?.code == .circuitOpen)
        works.value = true
        let recovered = ContinuousClock.now
        // Fifty at once, over and over: only one may find out.
        let first = Task {
            while probes.entries.isEmpty {
                await withTaskGroup { group in
                    for _ in 0..<50 {
                        group.addTask { _ = await bus.execute(Add(left: 1, right: 1), options: .init(deadline: .milliseconds(500))) }
                    }
                }
            }
        }
        await probes.first(1)
        #expect(ContinuousClock.now - recovered < .seconds(1))
        #expect(probes.entries.count == 1)
        gate.open()
        await first.value
        await bus.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `Resilience` {
    /// W2 of the predecessor: whichever was made first decided what all got.
    @Test func `is the same engine under both names, and a second bus is a second bus`() async throws {
        let one: MessageBus = ResilientMessageBus(resilience: .off)
        let two = ResilientMessageBus(resilience: BusResilience(retry: .never))
        #expect(one !== two)
        #expect(one.configuration.resilience.retry == nil)
        #expect(two.configuration.resilience.retry == .never)
        #expect(MessageBus.shared === MessageBus.shared && MessageBus.shared !== one)
        let session = try await two.createSession()
        #expect(session.bus === two)
        for bus in [one, two] { await bus.stop() }
    }

    /// W13 of the predecessor: the resilient bus ignored filters and lost what came before its start.
    @Test func `applies filters and sessions like the plain bus, and loses nothing published at once`() async throws {
        let bus = ResilientMessageBus(resilience: BusResilience())
        let seen = Journal<Int>()
        try await bus.subscribe(to: Tick.self) { tick, _ in seen.add(tick.number) }
        try await bus.publish(Tick(number: 1))
        bus.addEventFilter(EventTypeFilter(exclude: [Tick.self]))
        try await bus.publish(Tick(number: 2))
        await bus.stop()
        #expect(seen.entries == [1])
    }

    @Test func `is ready from the start, for those who are subscribed`() async throws {
        let bus = MessageBus(.swift)
        #expect(try await bus.publish(Tick(number: 1)).matched == 0)
        let seen = Journal<Int>()
        try await bus.subscribe(to: Tick.self) { tick, _ in seen.add(tick.number) }
        #expect(try await bus.publish(Tick(number: 2)).accepted == 1)
        await bus.stop()
        #expect(seen.entries == [2])
    }

    @Test func `can be switched off feature by feature: retries`() async throws {
        let bus = MessageBus(BusResilience(retry: nil))
        let calls = Journal<Int>()
        try await bus.subscribe("t") { (_: Tick, context) in
            calls.add(context.attempt)
            throw Mishap()
        }
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        await bus.stop()
        #expect((calls.entries, bus.deadLetters.count) == ([1], 1))
    }

    @Test func `can be switched off feature by feature: breakers`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: nil))
        let subscription = try await bus.subscribe("t") { (_: Tick, _) in throw Mishap() }
        for number in 0..<20 { try await bus.publish(Tick(number: number), to: "t", until: .processed) }
        #expect((subscription.breakerState, subscription.statistics.failed) == (.closed, 20))
        await bus.stop()
    }

    @Test func `can be switched off feature by feature: dead letters`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, circuitBreaker: nil, deadLetterCapacity: 0))
        let subscription = try await bus.subscribe("t") { (_: Tick, _) in throw Mishap() }
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        #expect((bus.deadLetters.count, subscription.statistics.deadLettered) == (0, 1))
        await bus.stop()
    }

    @Test func `can be switched off feature by feature: bounded queues`() async throws {
        let bus = MessageBus(BusResilience(retry: nil, hasBoundedQueues: false))
        let held = try await HeldSubscription(on: bus, options: .init(capacity: 1, whenFull: .rejectNew))
        for number in 1...100 { #expect(try await bus.publish(Tick(number: number), to: "t").accepted == 1) }
        held.gate.open()
        await bus.stop()
        #expect(held.numbers == Array(0...100))
    }

    @Test func `can be switched off feature by feature: metrics`() async throws {
        let bus = MessageBus(configuration: BusConfiguration(hasMetrics: false))
        try await bus.subscribe("t") { (_: Tick, _) in }
        try await bus.registerCommandHandler(Add.self) { _, _ in 1 }
        try await bus.publish(Tick(number: 1), to: "t", until: .processed)
        #expect(await bus.execute(Add(left: 1, right: 1)).isSuccess)
        await bus.stop()
        let names = bus.observability.metrics.snapshot().families.map(\.instrument.name)
        #expect(!names.contains { $0.hasPrefix("llmgine.events") || $0.hasPrefix("llmgine.command") || $0 == "llmgine.active_sessions" })
    }

    @Test func `gives handlers the priorities that users know`() {
        #expect([HandlerPriority.highest, .high, .normal, .low, .lowest].map(\.rawValue) == [0, 10, 50, 90, 100])
        #expect(SubscriptionOptions().handlerPriority == .normal)
    }
}
