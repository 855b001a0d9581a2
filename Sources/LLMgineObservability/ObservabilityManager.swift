import DequeModule
import Dispatch
import Synchronization

/// What a node tells about itself: the handlers that observe its events, its tracer and its metrics.
///
/// The bus calls it; it cannot call the bus, so observing can never cause an event. One per node: nothing in it is global.
/// While no handler is registered, ``observe(_:)`` costs one relaxed load (2.5 ns) and does not even build the event.
public final class ObservabilityManager: Sendable {
    /// Decides what is traced and keeps finished spans.
    public let tracer: NodeTracer
    /// Counts, gauges and histograms.
    public let metrics: MetricsRegistry

    /// How many events may wait for the handlers unless said otherwise: 10,000.
    public static let defaultQueueSize = 10_000

    private struct State {
        var handlers: [any ObservabilityHandler] = []
        var waiting: Deque<ObservedEvent> = []
        var isDraining = false
        var isEnabled = true
    }

    private let state: Mutex<State>
    /// Whether there is a handler and observing is switched on.
    private let active = Atomic(false)
    private let queueSize: Int
    private let thread = DispatchQueue(label: "llmgine.observability", qos: .utility)
    private let observed: MetricsRegistry.Counter
    private let dropped: MetricsRegistry.Counter

    /// Events taken from the queue at once: what the lock is held for.
    private static let chunk = 256

    /// Makes a manager.
    /// - Parameters:
    ///   - tracer: the tracer of the node; off until an exporter starts.
    ///   - metrics: the metrics of the node.
    ///   - queueSize: how many events may wait for the handlers; the oldest goes when another comes.
    public init(
        tracer: NodeTracer = NodeTracer(), metrics: MetricsRegistry = MetricsRegistry(),
        queueSize: Int = ObservabilityManager.defaultQueueSize
    ) {
        self.tracer = tracer
        self.metrics = metrics
        self.queueSize = max(queueSize, 1)
        state = Mutex(State())
        observed = metrics.counter(.observabilityEvents)
        dropped = metrics.counter(.observabilityDropped)
        let recorder = tracer.recorder
        metrics.observe(.spanQueueSize) { Double(recorder.count) }
        metrics.observe(.spanQueueDrops, labels: [.init("error_type", "queue_full")]) { Double(recorder.counts.dropped) }
    }

    /// Whether an event would reach anybody: one relaxed load.
    public var isObserving: Bool { active.load(ordering: .relaxed) }

    /// Adds a handler; adding one again changes nothing.
    public func registerHandler(_ handler: any ObservabilityHandler) {
        change { state in
            if !state.handlers.contains(where: { $0 === handler }) { state.handlers.append(handler) }
        }
    }

    /// Removes a handler. It may still see an event that it is being given at this moment.
    public func unregisterHandler(_ handler: any ObservabilityHandler) {
        change { state in state.handlers.removeAll { $0 === handler } }
    }

    /// Removes every handler.
    public func clearHandlers() { change { $0.handlers.removeAll() } }

    /// How many handlers are registered.
    public var handlerCount: Int { state.withLock { $0.handlers.count } }

    /// Switches observing by handlers on or off; it begins on. Tracing and metrics have switches of their own.
    public func setEnabled(_ isEnabled: Bool) { change { $0.isEnabled = isEnabled } }

    /// Tells the handlers about an event, some time soon and in order. The event is built only if somebody listens.
    public func observe(_ event: @autoclosure () -> ObservedEvent) {
        guard active.load(ordering: .relaxed) else { return }
        let event = event()
        let (starts, evicted) = state.withLock { state in
            let evicts = state.waiting.count >= queueSize
            if evicts { state.waiting.removeFirst() }
            state.waiting.append(event)
            let starts = !state.isDraining
            state.isDraining = true
            return (starts, evicts)
        }
        observed.increment()
        if evicted { dropped.increment() }
        if starts { thread.async { [self] in drain() } }
    }

    /// Returns when the handlers have seen everything that was observed before the call.
    public func drained() async {
        await withCheckedContinuation { continuation in thread.async { continuation.resume() } }
    }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            active.store(state.isEnabled && !state.handlers.isEmpty, ordering: .relaxed)
        }
    }

    /// Runs on the manager's thread, and nowhere else, until nothing waits.
    private func drain() {
        var chunk: [ObservedEvent] = []
        while true {
            let handlers = state.withLock { state -> [any ObservabilityHandler] in
                let taken = min(state.waiting.count, Self.chunk)
                chunk.append(contentsOf: state.waiting.prefix(taken))
                state.waiting.removeFirst(taken)
                return state.handlers
            }
            for event in chunk {
                for handler in handlers { handler.handle(event) }
            }
            chunk.removeAll(keepingCapacity: true)
            let isDone = state.withLock { state in
                if state.waiting.isEmpty { state.isDraining = false }
                return state.waiting.isEmpty
            }
            if isDone {
                for handler in handlers { handler.flush() }
                return
            }
        }
    }
}
