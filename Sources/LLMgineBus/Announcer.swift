import LLMgineCore
import LLMgineObservability
import Synchronization

/// Publishes what the bus itself has to say, in order and behind everybody's back: who causes an announcement never waits for those who read it.
final class Announcer: Sendable {
    enum Announcement: Sendable {
        case failed(EventHandlerFailedEvent)
        case started(CommandStartedEvent)
        case ended(CommandResultEvent)
        case deadLettered(DeadLetterCommandEvent)
    }

    private struct State {
        var waiting: [(Announcement, SessionID)] = []
        var isPublishing = false
    }

    /// Announcements that may wait.
    static let capacity = 1000

    private let state = Mutex(State())
    private let bus = Mutex(WeakBus())
    private let dropped: MetricsRegistry.Counter

    private struct WeakBus {
        weak var bus: MessageBus?
    }

    init(metrics: MetricsRegistry) { dropped = metrics.counter(.announcementsDropped) }

    func announce(on bus: MessageBus) { self.bus.withLock { $0.bus = bus } }

    /// Puts an announcement in line if somebody is subscribed to the topic. Built only then.
    func announce(_ topic: Topic, in session: SessionID, _ make: () -> Announcement) {
        guard let bus = bus.withLock({ $0.bus }), bus.hasSubscriptions(to: topic, in: session) else { return }
        let announcement = make()
        let (isLost, begins) = state.withLock { state in
            guard state.waiting.count < Announcer.capacity else { return (true, false) }
            state.waiting.append((announcement, session))
            defer { state.isPublishing = true }
            return (false, !state.isPublishing)
        }
        if isLost { dropped.increment() }
        // Unstructured because it outlives the call that caused it; it ends as soon as nothing waits.
        if begins { Task { await publishAll(on: bus) } }
    }

    private func publishAll(on bus: MessageBus) async {
        while true {
            let batch = state.withLock { state in
                defer { state.waiting = [] }
                if state.waiting.isEmpty { state.isPublishing = false }
                return state.waiting
            }
            if batch.isEmpty { return }
            for (announcement, session) in batch {
                let options = PublishOptions(session: session)
                // A bus that has stopped has nobody left to tell.
                switch announcement {
                case .failed(let event): _ = try? await bus.publish(event, options: options)
                case .started(let event): _ = try? await bus.publish(event, options: options)
                case .ended(let event): _ = try? await bus.publish(event, options: options)
                case .deadLettered(let event): _ = try? await bus.publish(event, options: options)
                }
            }
        }
    }
}

extension MessageBus {
    /// Whether an event would reach anybody, on this node or another.
    func hasSubscriptions(to topic: Topic, in session: SessionID) -> Bool {
        let route = router.route(for: topic, in: session)
        return !(route.locals.isEmpty && route.isPlain)
    }
}
