import ArgumentParser
import LLMgineBus
import LLMgineCore
import LLMgineNode

/// `Bench node-ring`: one of some nodes, each of which publishes to the next one and subscribes to what the one before it publishes.
struct NodeRingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-ring", shouldDisplay: false)
    @Option var certs: String
    @Option(help: "An address of the cluster; without one, this is the first node.") var seed: String?
    @Option(help: "The place of this node in the ring, from 0.") var place: Int
    @Option(help: "How many nodes there are.") var of: Int
    @Option(help: "When to begin, in nanoseconds of the monotonic clock, which all processes share.") var startAt: UInt64
    @Option var seconds: Double

    func run() async throws {
        let node = try await benchNode(certificates: certs, seeds: seed.map { [$0] } ?? [])
        let tally = HandlerTally()
        try await node.bus.subscribe(TopicFilter(topic(place)), options: .init(name: "ring-\(place)")) { (message: Message, _) in
            switch Parcel.read(message) {
            case (.data, let sequence)?: tally.record(sequence)
            case (.end, _)?: tally.end()
            case (.warmUp, _)?, nil: break
            }
        }
        try node.sayReady()
        let next = try topic((place + 1) % of)
        let publishing = try await withTaskExecutorPreference(node.executor) { try await publish(to: next, on: node.bus) }
        try await [tally].settled()
        var fields = [tally].line.fields
        fields["sent"] = "\(publishing.sent)"
        fields["cpu"] = "\(Resources.processorSeconds() - publishing.processorSecondsBefore)"
        Output.say(Line("result", fields))
        try await Task.sleep(for: .seconds(3600))  // until it is ended: what the others wait for may still be on its way
    }

    private func topic(_ place: Int) throws -> Topic { try Topic("bench.ring.\(place)") }

    /// Waits for the time to begin, then publishes as fast as `publish` returns.
    @concurrent private func publish(to topic: Topic, on bus: MessageBus) async throws -> (sent: UInt64, processorSecondsBefore: Double) {
        while monotonic() < startAt {
            _ = try await bus.publish(Parcel.message(.warmUp, 0, topic: topic))
            try await Task.sleep(for: .milliseconds(5))
        }
        guard try await bus.publish(Parcel.message(.warmUp, 0, topic: topic)).matched == 1 else {
            throw BenchError("the next node of the ring is not known when it is time to begin")
        }
        let before = Resources.processorSeconds()
        let end = monotonic() + UInt64(seconds * 1e9)
        var sent: UInt64 = 0
        while monotonic() < end {
            for _ in 0..<256 {
                sent += 1
                _ = try await bus.publish(Parcel.message(.data, sent, topic: topic))
            }
        }
        _ = try await bus.publish(Parcel.message(.end, sent, topic: topic))
        return (sent, before)
    }
}
