import ArgumentParser
import LLMgineBus
import LLMgineCore

/// `Bench local memory`: what the resident memory grows by while events wait behind a handler that does not return.
struct LocalMemoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "memory")
    @Option var events: Int

    func run() async throws {
        let bus = MessageBus(configuration: .init(name: "bench"))
        try await bus.subscribe("bench.memory", options: .init(capacity: events * 2)) { (_: Tick, _) in
            try await Task.sleep(for: .seconds(3600))
        }
        // The first event starts the handler and brings in what is allocated once.
        _ = try await bus.publish(Tick(sequence: 1), to: "bench.memory")
        try await Task.sleep(for: .milliseconds(200))
        let before = try Resources.residentBytes()
        var refused = 0
        let topic: Topic = "bench.memory"
        for sequence in 1...UInt64(events) {
            if try await bus.publish(Tick(sequence: sequence + 1), to: topic).accepted != 1 { refused += 1 }
        }
        let grown = Double(try Resources.residentBytes() - before)
        Output.say(
            Line("result", ["total": "\(grown / 1e6)", "overhead": "\((grown - Double(events * Tick.bytes)) / 1e6)", "lost": "\(refused)"]))
        throw ExitCode.success  // the handler still sleeps
    }
}
