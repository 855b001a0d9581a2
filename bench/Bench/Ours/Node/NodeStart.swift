import ArgumentParser
import LLMgineBus
import LLMgineCore
import LLMgineNode

/// `Bench node-first`: a node with listener and certificates, one subscription, one event.
struct NodeFirstCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-first", shouldDisplay: false)
    @Option var certs: String

    func run() async throws {
        let node = try await benchNode(certificates: certs)
        try await node.bus.subscribe("bench.first") { (_: Tick, _) in Output.say("first") }
        _ = try await node.bus.publish(Tick(sequence: 1), to: "bench.first")
        try await Task.sleep(for: .seconds(3600))  // until it is ended
    }
}

/// `Bench node-beacon`: publishes every millisecond.
struct NodeBeaconCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-beacon", shouldDisplay: false)
    @Option var certs: String

    func run() async throws {
        let node = try await benchNode(certificates: certs)
        try node.sayReady()
        for sequence in 1...UInt64(600_000) {
            _ = try await node.bus.publish(Tick(sequence: sequence), to: "bench.beacon")
            try await Task.sleep(for: .milliseconds(1))
        }
    }
}

/// `Bench node-joiner`: joins and says when the first event of the beacon has come.
struct NodeJoinerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-joiner", shouldDisplay: false)
    @Option var certs: String
    @Option var seed: String

    func run() async throws {
        let node = try await benchNode(certificates: certs, seeds: [seed])
        let tally = HandlerTally()
        try await node.bus.subscribe("bench.beacon") { (tick: Tick, _) in
            if tally.received == 0 { Output.say("first") }
            tally.record(tick.sequence)
        }
        try await Task.sleep(for: .seconds(3600))  // until it is ended
    }
}
