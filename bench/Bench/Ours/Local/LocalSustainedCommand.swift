import ArgumentParser
import LLMgineBus
import LLMgineCore
import Synchronization

/// `Bench local sustained`: a steady rate for a long time, with the memory and the processors it takes.
struct LocalSustainedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sustained")
    @Option var rate: Double
    @Option var seconds: Double

    func run() async throws {
        let bus = MessageBus(configuration: .init(name: "bench"))
        let load = PacedLoad(rate: rate, seconds: seconds)
        let tally = SharedLatency(warmUp: load.count / 10)
        try await bus.subscribe("bench.local") { (tick: Tick, _) in tally.record(tick) }
        let before = Resources.processorSeconds()
        async let watched = watch(for: seconds)
        let took = try await publish(load, to: bus)
        let processors = (Resources.processorSeconds() - before) / took
        await bus.stop()
        var fields = tally.line(published: load.count).fields
        fields.merge(try await watched.fields) { $1 }
        fields["rate"] = "\(Double(load.count) / took)"
        fields["cores"] = "\(processors)"
        Output.say(Line("result", fields))
    }

    @concurrent private func publish(_ load: PacedLoad, to bus: MessageBus) async throws -> Double {
        let topic: Topic = "bench.local"
        return try await load.run { sequence, due in _ = try await bus.publish(Tick(sequence: sequence, due: due), to: topic) }
    }

    /// Looks at the memory ten times a second; the first tenth is the warm-up.
    @concurrent private func watch(for seconds: Double) async throws -> MemoryWatch {
        var memory = MemoryWatch()
        let looks = max(10, Int(seconds * 10))
        for look in 0..<looks {
            try memory.look(isWarm: look * 10 >= looks)
            try await Task.sleep(for: .seconds(seconds / Double(looks)))
        }
        try memory.look(isWarm: true)
        return memory
    }
}

/// `Bench local burst`: so many events as fast as one task can publish them, and how long until all are handled.
struct LocalBurstCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "burst")
    @Option var events: Int

    func run() async throws {
        let bus = MessageBus(configuration: .init(name: "bench"))
        let tally = SharedLatency(warmUp: 0)
        let handled = HandlerTally()
        let last = UInt64(events)
        try await bus.subscribe("bench.local") { (tick: Tick, _) in
            tally.record(tick)
            handled.record(tick.sequence)
            if tick.sequence == last { handled.end() }
        }
        // An application that idles, then everything at once.
        try await Task.sleep(for: .milliseconds(300))
        let start = monotonic()
        let published = try await publish(to: bus)
        try await [handled].settled()
        await bus.stop()
        var fields = tally.line(published: events).fields
        fields["published_ms"] = "\(Double(published - start) / 1e6)"
        fields["handled_ms"] = "\(Double(handled.last - start) / 1e6)"
        Output.say(Line("result", fields))
    }

    @concurrent private func publish(to bus: MessageBus) async throws -> UInt64 {
        let topic: Topic = "bench.local"
        for sequence in 1...UInt64(events) { _ = try await bus.publish(Tick(sequence: sequence, due: monotonic()), to: topic) }
        return monotonic()
    }
}
