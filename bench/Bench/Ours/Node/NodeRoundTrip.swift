import ArgumentParser
import LLMgineBus
import LLMgineCore
import LLMgineNode
import NIOCore

/// `Bench node-responder`: answers every request with its own payload, in an async handler.
struct NodeResponderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-responder", shouldDisplay: false)
    @Option var certs: String

    func run() async throws {
        let node = try await benchNode(certificates: certs)
        try await node.bus.respond(to: "bench.request", options: .init(runsOnLink: true)) { (message, _) in message.payload }
        try node.sayReady()
        try await Task.sleep(for: .seconds(3600))  // until it is ended
    }
}

/// `Bench node-caller`: one request after the other.
struct NodeCallerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-caller", shouldDisplay: false)
    @Option var certs: String
    @Option var seed: String
    @Option var warmUp: Int
    @Option var count: Int

    func run() async throws {
        let node = try await benchNode(certificates: certs, seeds: [seed])
        try await awaitResponder(on: node.bus)
        Output.say(Line("result", try await measure(on: node.bus)))
        throw ExitCode.success
    }

    private func awaitResponder(on bus: MessageBus) async throws {
        while true {
            do {
                _ = try await ask(bus)
                return
            } catch let error as LLMgineError where error.code == .noResponders {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    @concurrent private func measure(on bus: MessageBus) async throws -> [String: String] {
        var latency = Latency()
        var lost = 0
        for index in 0..<(warmUp + count) {
            let start = monotonic()
            if try await ask(bus) != Tick.bytes { lost += 1 }
            if index >= warmUp { latency.record(monotonic() - start) }
        }
        var fields = latency.fields
        fields["lost"] = "\(lost)"
        return fields
    }

    /// The length of the answer.
    private func ask(_ bus: MessageBus) async throws -> Int {
        try await bus.request(Parcel.message(.data, 1, topic: "bench.request")).first().payload.readableBytes
    }
}
