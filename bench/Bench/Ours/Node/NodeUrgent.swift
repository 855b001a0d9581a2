import ArgumentParser
import LLMgineBus
import LLMgineCore
import LLMgineNode
import Synchronization

/// What travels for the figure of the classes: low messages as fast as they go, and an urgent one now and then. Each carries when it was published.
private enum Classes {
    static let low: Topic = "bench.low"
    static let urgent: Topic = "bench.urgent"

    static func message(_ kind: Parcel.Kind, _ priority: Priority) -> Message {
        var message = Parcel.message(kind, monotonic(), topic: priority == .urgent ? urgent : low)
        message.priority = priority
        return message
    }
}

/// How long messages were on their way.
private final class Arrivals: Sendable {
    private let latency = Mutex(Latency())

    func record(_ message: Message) {
        guard case (.data, let published)? = Parcel.read(message) else { return }
        let now = monotonic()
        latency.withLock { $0.record(now - published) }
    }

    var count: Int { latency.withLock { Int($0.count) } }
    var fields: [String: String] { latency.withLock { $0.fields } }
}

/// `Bench node-urgent-sink`: subscribes to both topics, and ends when all urgent messages are there.
struct NodeUrgentSinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-urgent-sink", shouldDisplay: false)
    @Option var certs: String
    /// How many urgent messages are to come.
    @Option var count: Int

    func run() async throws {
        let node = try await benchNode(certificates: certs)
        let (low, urgent) = (Arrivals(), Arrivals())
        try await node.bus.subscribe(TopicFilter(Classes.low)) { (message: Message, _) in low.record(message) }
        try await node.bus.subscribe(TopicFilter(Classes.urgent)) { (message: Message, _) in urgent.record(message) }
        try node.sayReady()
        let (seconds, arrived) = try await last(of: urgent, low)
        var fields = urgent.fields
        for (name, value) in low.fields { fields["low_\(name)"] = value }
        fields["low_rate"] = "\(Double(arrived) / seconds)"
        fields["lost"] = "\(count - urgent.count)"
        Output.say(Line("result", fields))
        throw ExitCode.success
    }

    /// Waits for the last urgent message, or until ten seconds bring none. - Returns: how long they came, and how many low ones came in that time.
    private func last(of urgent: Arrivals, _ low: Arrivals) async throws -> (seconds: Double, low: Int) {
        while urgent.count == 0 { try await Task.sleep(for: .milliseconds(1)) }
        let (start, before) = (monotonic(), low.count)
        var (known, since) = (0, start)
        while urgent.count < count {
            if urgent.count != known { (known, since) = (urgent.count, monotonic()) }
            guard monotonic() - since < 10_000_000_000 else { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        return (Double(monotonic() - start) / 1e9, low.count - before)
    }
}

/// `Bench node-urgent-source`: joins, and publishes low messages as fast as `publish` returns, and every 5 ms an urgent one.
struct NodeUrgentSourceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-urgent-source", shouldDisplay: false)
    @Option var certs: String
    @Option var seed: String
    @Option var count: Int

    func run() async throws {
        let node = try await benchNode(certificates: certs, seeds: [seed])
        let bus = node.bus
        for priority in [Priority.low, .urgent] {
            while try await bus.publish(Classes.message(.warmUp, priority)).matched == 0 { try await Task.sleep(for: .milliseconds(5)) }
        }
        let load = Task(executorPreference: node.executor) {
            while !Task.isCancelled {
                for _ in 0..<256 { _ = try await bus.publish(Classes.message(.data, .low)) }
            }
        }
        try await Task.sleep(for: .seconds(1))  // by then the link is full
        for _ in 0..<count {
            _ = try await bus.publish(Classes.message(.data, .urgent))
            try await Task.sleep(for: .milliseconds(5))
        }
        load.cancel()
        _ = try? await load.value
        try await Task.sleep(for: .seconds(3600))  // until it is ended: the last messages are still on their way
    }
}
