import LLMgineCore
import LLMgineObservability
import Logging
import Synchronization

/// The filters of a bus at one moment. Routes carry it, so a bus without filters pays for none.
final class FilterChain: Sendable {
    let filters: [any EventFilter]
    private let observability: ObservabilityManager
    private let stopped: MetricsRegistry.Counter
    private let faults: MetricsRegistry.Counter

    init(_ filters: [any EventFilter], observability: ObservabilityManager, metrics: MetricsRegistry) {
        self.filters = filters
        self.observability = observability
        stopped = metrics.counter(.eventsFiltered)
        faults = metrics.counter(.filterFaults)
    }

    /// Whether every filter lets the event go out.
    func admits(_ event: PublishedEvent) -> Bool {
        for filter in filters {
            do {
                guard try !filter.shouldHandle(event) else { continue }
                stopped.increment()
                return false
            } catch {
                faults.increment()
                note(error, of: filter, event)
            }
        }
        return true
    }

    private func note(_ error: any Error, of filter: any EventFilter, _ event: PublishedEvent) {
        let name = String(describing: type(of: filter))
        let fault = String(describing: type(of: error))
        FilterChain.logger.warning("a filter threw and has no say", metadata: ["filter": "\(name)", "error": "\(fault)"])
        observability.observe(
            ObservedEvent(
                eventID: "filter/\(name)", eventType: "FilterFailed", timestamp: observability.tracer.clock.now(), session: event.session,
                topic: event.topic, metadata: [.init("filter", name), .init("error", fault)]))
    }

    private static let logger = Logger(label: "llmgine.bus")
}

/// The filters that were added to a bus and not removed.
final class FilterList: Sendable {
    private struct State {
        var entries: [(id: UInt64, filter: any EventFilter)] = []
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    /// - Parameter publish: makes the new list known, before any other change of it.
    func add(_ filter: any EventFilter, publish: ([any EventFilter]) -> Void) -> UInt64 {
        state.withLock { state in
            state.next += 1
            state.entries.append((state.next, filter))
            publish(state.entries.map(\.filter))
            return state.next
        }
    }

    func remove(_ id: UInt64, publish: ([any EventFilter]) -> Void) {
        state.withLock { state in
            guard let index = state.entries.firstIndex(where: { $0.id == id }) else { return }
            state.entries.remove(at: index)
            publish(state.entries.map(\.filter))
        }
    }
}

extension MessageBus {
    /// Has every event that is published on this bus judged by the filter, after those that were added before. An event that is stopped
    /// matches nobody (its receipt says `matched: 0`) and is counted as `llmgine.events.filtered`.
    /// - Returns: what takes the filter away again.
    @discardableResult
    public func addEventFilter(_ filter: some EventFilter) -> BusRegistration {
        let id = filters.add(filter, publish: show)
        return BusRegistration { [weak self] in
            guard let self else { return }
            filters.remove(id, publish: show)
        }
    }

    private func show(_ filters: [any EventFilter]) {
        router.use(
            filters.isEmpty ? nil : FilterChain(filters, observability: observability, metrics: services.metrics))
    }
}

/// Something that was added to a bus and can be taken away again. Letting go of the object changes nothing.
public final class BusRegistration: Sendable {
    private let action: Mutex<(@Sendable () -> Void)?>

    init(_ action: @escaping @Sendable () -> Void) { self.action = Mutex(action) }

    /// Takes it away. What is under way is not stopped; a second call does nothing.
    public func remove() {
        let action = action.withLock { action in
            defer { action = nil }
            return action
        }
        action?()
    }
}
