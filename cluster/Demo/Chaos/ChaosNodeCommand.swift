import ArgumentParser
import Foundation
import LLMgine
import Logging
import NIOCore
import Synchronization
import UnixSignals

/// One node of the chaos: it publishes to every other, handles what comes in four ways, and writes down all of it.
struct ChaosNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "chaos-node", shouldDisplay: false)

    @Option var number: Int
    @Option var nodes: Int
    @Option var listen: String
    @Option var advertise: String
    @Option var seeds: [String] = []
    @Option var certificates: String
    @Option var history: String
    /// Events a second to each other node.
    @Option var rate: Int

    func run() async throws {
        let history = try ChaosHistory(path: history)
        let logger = Logger(label: "chaos") { _ in
            ChaosLog(history: history) { line in FileHandle.standardError.write(Data((line + "\n").utf8)) }
        }
        let node = try await Node(
            configuration: NodeConfiguration(
                name: try NodeID(Chaos.name(number)), cluster: "chaos", listen: listen, advertise: advertise, seeds: seeds,
                certificates: .directory(certificates), joinTimeout: .seconds(1), stopDeadline: .seconds(5), eventLoops: 1),
            logger: logger)
        history.write("i", Int(truncatingIfNeeded: node.incarnation.value))
        let work = ChaosWork(node: node, number: number, history: history)
        try await work.subscribe()
        Report.ready.send()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for target in 0..<nodes where target != number { tasks.addTask { await work.publish(to: target, rate: rate) } }
            tasks.addTask { await work.keepBooks() }
            tasks.addTask {
                // SIGTERM: a rolling restart.
                for await _ in await UnixSignalsSequence(trapping: .sigterm) { return }
            }
            tasks.addTask { try await Orders.obey { work.obey($0) } }
            // Only a signal and the end of the orders end a task.
            try await tasks.next()
            work.stopPublishing()
            work.thaw()
            await node.stop(deadline: .seconds(5))
            tasks.cancelAll()
        }
        work.noteDeadLetters()
        history.write("z")
        history.flush()
    }
}

/// What a node of the chaos does.
final class ChaosWork: Sendable {
    private struct State {
        var isFrozen = false
        var isPublishing = true
        /// How many events of a flood are still to go, by the node that they go to.
        var flood: [Int: Int] = [:]
        var waiting: [CheckedContinuation<Void, Never>] = []
        var lastLetter: UInt64 = 0
    }

    private let node: Node
    private let number: Int
    private let history: ChaosHistory
    private let state = Mutex(State())
    private let sequence = Atomic<Int>(0)
    private let handled = Atomic<Int>(0)

    init(node: Node, number: Int, history: ChaosHistory) {
        self.node = node
        self.number = number
        self.history = history
    }

    // MARK: Handling

    func subscribe() async throws {
        for behaviour in Chaos.Behaviour.allCases {
            let options = SubscriptionOptions(
                name: behaviour.name, capacity: behaviour == .quick ? 2000 : 300,
                whenFull: behaviour == .quick ? .block(deadline: .milliseconds(200)) : .dropOldest)
            try await node.bus.subscribe(Chaos.filter(of: number), options: options) { [self] message, context in
                try await handle(message, context, as: behaviour)
            }
        }
        try await node.established(within: .seconds(30))
        history.write("e", ChaosHistory.time)
    }

    private func handle(_ message: Message, _ context: EventContext, as behaviour: Chaos.Behaviour) async throws {
        guard let event = ChaosEvent(message) else { return }
        switch behaviour {
        case .quick: break
        case .slow: if event.number % 16 == 0 { try await Task.sleep(for: .milliseconds(3)) }
        case .frozen: await waitWhileFrozen()
        case .failing: if event.number % 97 == 0 { throw LLMgineError(.handlerFailed, "as arranged") }
        }
        history.write(
            "d", behaviour.rawValue, event.publisher, Int(truncatingIfNeeded: context.id.incarnation.value), event.number, event.topic,
            Int(context.priority.rawValue), Int(context.missed))
        handled.add(1, ordering: .relaxed)
    }

    private func waitWhileFrozen() async {
        await withCheckedContinuation { continuation in
            let isFrozen = state.withLock { state in
                if state.isFrozen { state.waiting.append(continuation) }
                return state.isFrozen
            }
            if !isFrozen { continuation.resume() }
        }
    }

    func thaw() {
        let waiting = state.withLock { state in
            state.isFrozen = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func stopPublishing() { state.withLock { $0.isPublishing = false } }

    func obey(_ order: String) {
        switch order {
        case "freeze": state.withLock { $0.isFrozen = true }
        case "thaw": thaw()
        case "quiet": stopPublishing()
        case "settled": history.write("f")
        case "count": Report.handled(handled.load(ordering: .relaxed), peers: node.peers.count).send()
        default:
            guard order.hasPrefix("flood "), let target = Int(order.dropFirst(6)) else { return }
            state.withLock { $0.flood[target] = ChaosWork.flood }
        }
    }

    /// More than a link lets wait for one subscription, so that the oldest have to go.
    private static let flood = 12_000

    // MARK: Publishing

    /// Publishes to one node, in bursts of ten milliseconds. One task a node, so that a stuck one holds nobody else.
    func publish(to target: Int, rate: Int) async {
        let topics = (0..<Chaos.topics).map { Chaos.topic(to: target, from: number, $0) }
        let burst = max(1, rate / 100)
        while !Task.isCancelled, state.withLock({ $0.isPublishing }) {
            let flood = state.withLock { $0.flood.removeValue(forKey: target) } ?? 0
            for _ in 0..<max(burst, flood) { await publish(to: target, topics) }
            try? await Task.sleep(for: .milliseconds(10))
        }
        // Quiet is not the end: until that comes, there is nothing to do.
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }

    private func publish(to target: Int, _ topics: [Topic]) async {
        let event = sequence.add(1, ordering: .relaxed).newValue
        let topic = event % topics.count
        let priority: Priority = event % 11 == 0 ? .high : event % 13 == 0 ? .low : .normal
        let message = Message(
            topic: topics[topic], payload: ChaosEvent(publisher: number, number: event, topic: topic).payload, priority: priority)
        let before = history.label(of: target)
        let time = ChaosHistory.time
        // A publish that throws has published nothing: the node stops.
        guard let receipt = try? await node.bus.publish(message) else { return }
        history.write(
            "p", target, event, topic, Int(priority.rawValue), receipt.matched, receipt.rejected, before, history.label(of: target), time)
    }

    // MARK: Books

    func keepBooks() async {
        while !Task.isCancelled {
            noteDeadLetters()
            history.flush()
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    func noteDeadLetters() {
        let last = state.withLock { $0.lastLetter }
        for letter in node.bus.deadLetters.list(after: last, limit: 1000) {
            state.withLock { $0.lastLetter = letter.id }
            guard let event = ChaosEvent(letter.content),
                let behaviour = Chaos.Behaviour.allCases.first(where: { $0.name == letter.subscription })
            else { continue }
            history.write(
                "x", behaviour.rawValue, event.publisher, Int(truncatingIfNeeded: letter.message.incarnation.value), event.number)
        }
    }
}

/// What a message of the chaos says.
struct ChaosEvent {
    let publisher: Int
    let number: Int
    let topic: Int

    init(publisher: Int, number: Int, topic: Int) {
        self.publisher = publisher
        self.number = number
        self.topic = topic
    }

    init?(_ message: Message) {
        var bytes = message.payload
        guard let (publisher, number, topic) = bytes.readMultipleIntegers(as: (UInt32, UInt64, UInt32).self) else { return nil }
        self.init(publisher: Int(publisher), number: Int(truncatingIfNeeded: number), topic: Int(topic))
    }

    /// Of 16 to 215 bytes, so that chunks and windows are cut in many ways.
    var payload: ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(UInt32(publisher), UInt64(number), UInt32(topic))
        bytes.writeRepeatingByte(0x2A, count: number % 200)
        return bytes
    }
}
