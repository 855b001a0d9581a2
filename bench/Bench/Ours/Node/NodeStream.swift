import ArgumentParser
import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTransport
import NIOCore

/// The message of the node figures: 128 bytes, of which the sink reads number and kind.
struct Parcel {
    enum Kind: UInt64 {
        case data = 1
        /// Nothing more is to come.
        case end = 0
        /// Not counted: opens connections and windows, and finds out whether the subscriber is known yet.
        case warmUp = 2
    }

    static let topic: Topic = "bench.data"

    private static let blank: ByteBuffer = {
        var blank = ByteBuffer()
        for word in 0..<UInt64(Tick.bytes / 8) { blank.writeInteger(word) }
        return blank
    }()

    /// Each has bytes of its own, as the messages of an application do.
    static func message(_ kind: Kind, _ sequence: UInt64, topic: Topic = Parcel.topic) -> Message {
        var payload = blank
        payload.setInteger(sequence, at: 0)
        if kind != .data { payload.setInteger(kind.rawValue, at: 8) }
        return Message(topic: topic, payload: payload)
    }

    static func read(_ message: Message) -> (kind: Kind, sequence: UInt64)? {
        let start = message.payload.readerIndex
        guard let sequence = message.payload.getInteger(at: start, as: UInt64.self),
            let kind = message.payload.getInteger(at: start + 8, as: UInt64.self).flatMap(Kind.init)
        else { return nil }
        return (kind, sequence)
    }
}

/// A node of the bench cluster.
func benchNode(certificates: String, seeds: [String] = []) async throws -> Node {
    // Its directory is named for it.
    let name = try NodeID(URL(filePath: certificates).lastPathComponent)
    return try await Node(
        configuration: .init(name: name, cluster: "bench", listen: "127.0.0.1:0", seeds: seeds, certificates: .directory(certificates)))
}

extension Node {
    /// Tells the process that started this one where to join.
    func sayReady() throws {
        guard let listeningAddress else { throw BenchError("the node does not listen") }
        Output.say(Line("ready", ["address": listeningAddress]))
    }
}

/// `Bench node-sink`: subscribes some times and counts.
struct NodeSinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-sink", shouldDisplay: false)
    @Option var certs: String
    @Option var subscribers = 1
    /// One more subscriber, who takes nothing and comes and goes.
    @Option var frozen = Streams.Frozen.none
    /// How often it does.
    @Option var pairs = 4

    func run() async throws {
        let node = try await benchNode(certificates: certs)
        let tallies = (0..<subscribers).map { _ in HandlerTally() }
        for (index, tally) in tallies.enumerated() {
            try await node.bus.subscribe(TopicFilter(Parcel.topic), options: .init(name: "sink-\(index)")) { (message: Message, _) in
                switch Parcel.read(message) {
                case (.data, let sequence)?: tally.record(sequence)
                case (.end, _)?: tally.end()
                case (.warmUp, _)?, nil: break
                }
            }
        }
        try node.sayReady()
        var fields: [String: String] = [:]
        if let options = frozen.options {
            fields = try await ComingAndGoing(bus: node.bus, tallies: tallies, options: options).measure(pairs: pairs).fields
        }
        try await tallies.settled()
        fields.merge(tallies.line.fields) { $1 }
        Output.say(Line("result", fields))
        throw ExitCode.success  // without an orderly stop, for which a frozen handler would have to be waited for
    }
}

extension Streams.Frozen: ExpressibleByArgument {
    /// How the frozen subscriber subscribes, nil when there is none.
    var options: SubscriptionOptions? {
        switch self {
        case .none: nil
        case .dropOldest: SubscriptionOptions(name: "frozen", whenFull: .dropOldest)
        case .block: SubscriptionOptions(name: "frozen", whenFull: .block(deadline: .seconds(1)))
        }
    }
}

/// `Bench node-source`: joins, publishes as fast as `publish` returns, then says how many there were.
struct NodeSourceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "node-source", shouldDisplay: false)
    @Option var certs: String
    @Option var seed: String
    @Option var seconds: Double
    @Option var warmUp = 0.5

    func run() async throws {
        let node = try await benchNode(certificates: certs, seeds: [seed])
        // Publishing is all it does: as the documentation of `Node.executor` says.
        try await withTaskExecutorPreference(node.executor) { try await publish(on: node) }
        try await Task.sleep(for: .seconds(3600))  // until it is ended: the last messages are still on their way
    }

    @concurrent private func publish(on node: Node) async throws {
        while try await node.bus.publish(Parcel.message(.warmUp, 0)).matched == 0 { try await Task.sleep(for: .milliseconds(5)) }
        _ = try await publish(.warmUp, for: warmUp, on: node.bus)
        let sent = try await publish(.data, for: seconds, on: node.bus)
        _ = try await node.bus.publish(Parcel.message(.end, sent))
        Output.say(Line("result", ["sent": "\(sent)"]))
    }

    @concurrent private func publish(_ kind: Parcel.Kind, for seconds: Double, on bus: MessageBus) async throws -> UInt64 {
        let end = monotonic() + UInt64(seconds * 1e9)
        var sequence: UInt64 = 0
        while monotonic() < end {
            for _ in 0..<256 {
                sequence += 1
                _ = try await bus.publish(Parcel.message(kind, sequence))
            }
        }
        return sequence
    }
}
