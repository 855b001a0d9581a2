import LLMgine
import NIOCore
import Synchronization

/// The requests of one life of a node: it answers those of the others and makes its own, each of which is to have one outcome in time.
final class ChaosCalls: Sendable {
    private struct State {
        var last = 0
        /// The requests without an outcome, and for how many rounds of the books they have been.
        var open: [Int: Int] = [:]
    }

    private let node: Node
    private let number: Int
    private let history: ChaosHistory
    private let state = Mutex(State())

    init(node: Node, number: Int, history: ChaosHistory) {
        self.node = node
        self.number = number
        self.history = history
    }

    func respond() async throws {
        try await node.bus.respond(to: Chaos.callFilter, options: ResponderOptions(concurrency: 16)) { message, _ in
            // Whoever ends finds some of them under way.
            try await Task.sleep(for: .milliseconds(10))
            return message.payload
        }
    }

    /// Makes twenty requests a second, however long their answers take, and returns once all of them have an outcome.
    func request(while isWanted: @escaping @Sendable () -> Bool) async {
        await withDiscardingTaskGroup { group in
            var before = 0
            while isWanted() {
                // What a peer answers is known a moment after its link is.
                let peers = node.peers.count
                let responders = min(before, peers)
                before = peers
                group.addTask { [self] in await request(responders: responders) }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// - Parameter responders: how many nodes could answer it.
    private func request(responders: Int) async {
        let call = state.withLock { state in
            state.last += 1
            state.open[state.last] = 0
            return state.last
        }
        history.write("r", call, responders, ChaosHistory.time)
        let outcome = await outcome(of: call)
        end(call, outcome)
    }

    /// Asks another node: our own responder, which is nearest, says nothing about links.
    private func outcome(of call: Int) async -> ChaosOutcome {
        let payload = ChaosEvent(publisher: number, number: call, topic: 0).payload
        let options = RequestOptions(deadline: Chaos.callDeadline, excluding: [node.configuration.name])
        do throws(LLMgineError) {
            let reply = try await node.bus.request(Message(topic: Chaos.callTopic, payload: payload), options: options).first()
            return reply.payload == payload ? .answered : .wrongAnswer
        } catch {
            return ChaosOutcome(error)
        }
    }

    private func end(_ call: Int, _ outcome: ChaosOutcome) {
        // One whose end was waited for in vain is in the books already.
        guard state.withLock({ $0.open.removeValue(forKey: call) }) != nil else { return }
        history.write("o", call, outcome.rawValue)
    }

    /// Notes what should have ended long ago. Rounds are counted, not time: while the process was stopped, nothing could end.
    func keepBooks() {
        let late = state.withLock { state in
            for call in Array(state.open.keys) { state.open[call, default: 0] += 1 }
            let late = state.open.filter { $0.value > ChaosCalls.patience }.map(\.key)
            for call in late { state.open[call] = nil }
            return late
        }
        for call in late { history.write("o", call, ChaosOutcome.never.rawValue) }
    }

    /// In rounds of the books, a twentieth of a second each: two seconds past the deadline.
    private static let patience = Int((Chaos.callDeadline + .seconds(2)) / .milliseconds(50))
}
