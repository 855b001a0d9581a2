import LLMgine
import Synchronization

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

    let node: Node
    let number: Int
    let history: ChaosHistory
    private let calls: ChaosCalls
    private let journal: FileJournal?
    private let state = Mutex(State())
    private let sequence = Atomic<Int>(0)
    private let handled = Atomic<Int>(0)
    private let acknowledged = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)

    init(node: Node, number: Int, history: ChaosHistory, journal: FileJournal?) {
        self.node = node
        self.number = number
        self.history = history
        self.journal = journal
        calls = ChaosCalls(node: node, number: number, history: history)
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
        try await subscribeAtLeastOnce()
        try await calls.respond()
        try await node.established(within: .seconds(30))
        history.write("e", ChaosHistory.time)
    }

    private func handle(_ message: Message, _ context: EventContext, as behaviour: Chaos.Behaviour) async throws {
        guard let event = ChaosEvent(message) else { return }
        switch behaviour {
        case .quick: history.arrived(from: event.publisher)
        case .slow: if event.number % 16 == 0 { try await Task.sleep(for: .milliseconds(3)) }
        case .frozen: await waitWhileFrozen()
        // Not any more once all is to come to rest: a breaker that opens makes a long queue last.
        case .failing: if isPublishing, event.number % 97 == 0 { throw LLMgineError(.handlerFailed, "as arranged") }
        }
        history.write(
            "d", behaviour.rawValue, event.publisher, Int(truncatingIfNeeded: context.id.incarnation.value), event.number, event.topic,
            Int(context.priority.rawValue), Int(context.missed))
        noteHandled()
    }

    func waitWhileFrozen() async {
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

    func obey(_ order: String) async {
        switch order {
        case "freeze": state.withLock { $0.isFrozen = true }
        case "thaw": thaw()
        case "quiet": stopPublishing()
        case "settled": history.write("f")
        case "count": Report.tally(await tally).send()
        default:
            guard order.hasPrefix("flood "), let target = Int(order.dropFirst(6)) else { return }
            state.withLock { $0.flood[target] = ChaosWork.flood }
        }
    }

    private var tally: ChaosTally {
        get async {
            let links = history.links
            let status = await node.status()
            return ChaosTally(
                handled: handled.load(ordering: .relaxed), peers: node.peers.count,
                waiting: status.links.reduce(0) { $0 + $1.queuedMessages } + status.subscriptions.reduce(0) { $0 + Int($1.queued) },
                owed: node.unacknowledged.values.reduce(0, +) + (journal?.statistics.open ?? 0),
                acknowledged: acknowledged.load(ordering: .relaxed), refused: refused.load(ordering: .relaxed), renewals: links.renewals,
                closures: links.closures)
        }
    }

    /// More than a link lets wait for one subscription, so that the oldest have to go.
    private static let flood = 12_000

    // MARK: Publishing

    /// Publishes to one node, in bursts of ten milliseconds. One task a node, so that a stuck one holds nobody else.
    func publish(to target: Int, rate: Int) async {
        let topics = (0..<Chaos.topics).map { Chaos.topic(to: target, from: number, $0) }
        let burst = max(1, rate / 100)
        while isPublishing {
            let flood = state.withLock { $0.flood.removeValue(forKey: target) } ?? 0
            for _ in 0..<max(burst, flood) { await publish(to: target, topics) }
            try? await Task.sleep(for: .milliseconds(10))
        }
        await waitForTheEnd()
    }

    var isPublishing: Bool { !Task.isCancelled && state.withLock { $0.isPublishing } }

    /// Quiet is not the end: until that comes, there is nothing to do.
    func waitForTheEnd() async {
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }

    /// The number of the next event of this life.
    func nextEvent() -> Int { sequence.add(1, ordering: .relaxed).newValue }
    func noteHandled() { handled.add(1, ordering: .relaxed) }
    func noteAcknowledged() { acknowledged.add(1, ordering: .relaxed) }
    func noteRefused() { refused.add(1, ordering: .relaxed) }

    private func publish(to target: Int, _ topics: [Topic]) async {
        let event = nextEvent()
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

    /// Makes requests for as long as events are published.
    func request() async {
        await calls.request { [self] in isPublishing }
        await waitForTheEnd()
    }

    // MARK: Books

    func keepBooks() async {
        while !Task.isCancelled {
            noteDeadLetters()
            calls.keepBooks()
            history.flush()
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    func noteDeadLetters() {
        let last = state.withLock { $0.lastLetter }
        for letter in node.bus.deadLetters.list(after: last) {
            state.withLock { $0.lastLetter = letter.id }
            guard let event = ChaosEvent(letter.content) else { continue }
            let incarnation = Int(truncatingIfNeeded: letter.message.incarnation.value)
            if let behaviour = Chaos.Behaviour.allCases.first(where: { $0.name == letter.subscription }) {
                history.write("x", behaviour.rawValue, event.publisher, incarnation, event.number)
            } else if let strength = Chaos.Strength(subscription: letter.subscription) {
                history.write("y", strength.rawValue, event.publisher, incarnation, event.number)
            }
        }
    }
}
