import LLMgineCore
import Synchronization

/// The handlers of one event that have the same ``HandlerPriority``: those of the next stage begin with the event when all of these are done with it.
final class HandlerStage: Sendable {
    enum Verdict: Sendable {
        /// All earlier handlers are done with the event.
        case open
        /// One of them has taken too long, and is not waited for any more until it has handled something.
        case late
        /// An earlier handler waits for the one that asks, which goes on.
        case circular
        /// The waiting task was cancelled.
        case cancelled
    }

    private struct State {
        /// Who has not settled its copy, by the number of the copy.
        var open: [Int: AnySubscriber] = [:]
        var next = 0
        var waiters: [Outcome<Verdict>] = []
    }

    private let earlier: HandlerStage?
    private let waits: WaitGraph
    private let timers: TimerQueue
    private let state = Mutex(State())

    private let patience: Duration

    init(after earlier: HandlerStage?, on bus: MessageBus) {
        self.earlier = earlier
        waits = bus.waits
        timers = bus.timers
        patience = bus.configuration.handlerPatience
    }

    /// Opens the account of one more handler. - Parameter other: whom else its copy's end is told.
    func token(for subscriber: AnySubscriber, and other: DeliveryToken? = nil) -> DeliveryToken {
        let id = state.withLock { state in
            state.next += 1
            state.open[state.next] = subscriber
            return state.next
        }
        return DeliveryToken { [weak self] in
            other?.settle()
            self?.settled(id)
        }
    }

    private func settled(_ id: Int) {
        let waiters = state.withLock { state -> [Outcome<Verdict>] in
            state.open[id] = nil
            guard state.open.isEmpty else { return [] }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.settle(.open) }
    }

    /// Waits, on behalf of a handler of a later stage, until this stage and all before it are done with the event.
    func wait(for subscriber: AnySubscriber) async -> Verdict {
        if let verdict = await earlier?.wait(for: subscriber), verdict == .cancelled { return .cancelled }
        let outcome = Outcome<Verdict>()
        let open = state.withLock { state in
            let open = state.open.values.filter { !$0.isLate.load(ordering: .relaxed) }
            if !open.isEmpty { state.waiters.append(outcome) }
            return open
        }
        guard !open.isEmpty else { return .open }
        guard let turn = waits.beginTurn(of: subscriber.id, behind: open.map(\.id), yield: { outcome.settle(.circular) }) else {
            return .circular
        }
        defer { waits.endTurn(turn) }
        let timer = timers.schedule(at: .now.advanced(bySaturating: patience)) { outcome.settle(.late) }
        defer { timers.cancel(timer) }
        let verdict = await withTaskCancellationHandler {
            await outcome.result()
        } onCancel: {
            outcome.settle(.cancelled)
        }
        if verdict == .late {
            for late in state.withLock({ Array($0.open.values) }) { late.isLate.store(true, ordering: .relaxed) }
        }
        return verdict
    }
}

/// The stages of one event, built while its copies are made in the order of ``AnySubscriber/isOfferedBefore(_:_:)``.
struct HandlerStages {
    private let bus: MessageBus
    private var current: HandlerStage?
    private var earlier: HandlerStage?
    private var priority: HandlerPriority?

    init(of bus: MessageBus) { self.bus = bus }

    /// What the copy for one more handler carries: whom to tell when it is done with, and what to wait for.
    mutating func place(for subscriber: AnySubscriber, and other: DeliveryToken? = nil) -> StagePlace? {
        guard subscriber.isStaged else { return nil }
        let stage: HandlerStage
        if let current, priority == subscriber.options.handlerPriority {
            stage = current
        } else {
            earlier = current
            stage = HandlerStage(after: earlier, on: bus)
            current = stage
            priority = subscriber.options.handlerPriority
        }
        return StagePlace(token: stage.token(for: subscriber, and: other), gate: earlier)
    }

    /// What travels with the copy of a message for one more handler; nil if it stands outside the order.
    mutating func extras(of message: Message, for subscriber: AnySubscriber) -> MessageExtras? {
        place(for: subscriber).map {
            MessageExtras(headers: message.headers, trace: message.trace, timeToLive: message.timeToLive, place: $0)
        }
    }

    /// Whether subscriptions have handlers of more than one stage.
    static func areMixed(_ subscribers: some Sequence<AnySubscriber>) -> Bool {
        var first: HandlerPriority?
        for subscriber in subscribers where subscriber.isStaged {
            if let first, first != subscriber.options.handlerPriority { return true }
            first = subscriber.options.handlerPriority
        }
        return false
    }
}

/// Where one copy of an event stands among the handlers of the event.
package struct StagePlace: Sendable {
    let token: DeliveryToken
    /// The stage before; nil for the first.
    let gate: HandlerStage?
}

extension AnySubscriber {
    /// Whether the handler keeps to the order of the stages. A relay passes events on to handlers of another process.
    final var isStaged: Bool { options.relaysFor == nil }
}
