import ArgumentParser
import LLMgineBus
import LLMgineCore
import Synchronization

/// `Bench local bus`: one publishing task, one subscription with the default options, all events counted.
struct LocalBusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bus")
    @Option var events: Int

    func run() async throws {
        let bus = MessageBus(configuration: .init(name: "bench"))
        let tally = HandlerTally()
        let last = UInt64(events)
        try await bus.subscribe("bench.local") { (tick: Tick, _) in
            tally.record(tick.sequence)
            if tick.sequence == last { tally.end() }
        }
        let start = monotonic()
        try await publish(to: bus)
        try await [tally].settled()
        let seconds = Double(tally.last - start) / 1e9
        Output.say(
            Line(
                "result",
                [
                    "rate": "\(Double(tally.received) / seconds)", "lost": "\(events - tally.received)",
                    "disordered": "\(tally.disordered)",
                ]))
        await bus.stop()
    }

    @concurrent private func publish(to bus: MessageBus) async throws {
        let topic: Topic = "bench.local"
        for sequence in 1...UInt64(events) { _ = try await bus.publish(Tick(sequence: sequence), to: topic) }
    }
}

/// `Bench local latency`: the same under an open loop.
struct LocalLatencyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "latency")
    @Option var rate: Double
    @Option var seconds: Double

    func run() async throws {
        let bus = MessageBus(configuration: .init(name: "bench"))
        let load = OpenLoop(rate: rate, seconds: seconds)
        let tally = SharedLatency(warmUp: load.count / 5)
        try await bus.subscribe("bench.local") { (tick: Tick, _) in tally.record(tick) }
        try await publish(load, to: bus)
        await bus.stop()
        Output.say(tally.line(published: load.count))
    }

    @concurrent private func publish(_ load: OpenLoop, to bus: MessageBus) async throws {
        let topic: Topic = "bench.local"
        let start = monotonic()
        for index in 0..<load.count {
            _ = try await bus.publish(Tick(sequence: UInt64(index + 1), due: load.wait(for: index, since: start)), to: topic)
        }
    }
}

/// A ``LatencyTally`` that a handler may touch; at 100,000 events a second its lock, which nobody contends for, is no part of the figure.
final class SharedLatency: Sendable {
    private let tally: Mutex<LatencyTally>
    init(warmUp: Int) { tally = Mutex(LatencyTally(warmUp: warmUp)) }
    func record(_ tick: Tick) { tally.withLock { $0.record(tick) } }
    func line(published: Int) -> Line { tally.withLock { $0.line(published: published) } }
}
