import LLMgineCore
import LLMgineObservability
import LLMgineResilience

/// What the subscriptions of one bus share.
struct DeliveryServices: Sendable {
    let origin: BusIdentity
    let resilience: BusResilience
    let deadLetters: DeadLetters
    let observability: ObservabilityManager
    /// Where metrics are counted: nowhere that is shown, if they are switched off.
    let metrics: MetricsRegistry
    let announcer: Announcer
    let spillDirectory: String
    let middleware = MiddlewareChain()

    var tracer: NodeTracer { observability.tracer }

    /// Counts the commands of a type that this node asks for.
    func sentCommands(of type: String) -> MetricsRegistry.Counter { metrics.counter(.commandsSent, labels: [.init("command", type)]) }

    /// The breaker of a handler, whose changes observers are told of.
    func breaker(for handler: String) -> HandlerBreaker {
        HandlerBreaker(resilience.circuitBreaker) { [observability] change in
            observability.observe(
                ObservedEvent(
                    eventID: "breaker/\(handler)", eventType: "CircuitBreakerChanged", timestamp: observability.tracer.clock.now(),
                    metadata: [.init("handler", handler), .init("from", change.from.rawValue), .init("to", change.to.rawValue)]))
        }
    }
}

/// The metrics of the queues of one handler's name, looked up once.
struct QueueMeters: Sendable {
    let dropped: MetricsRegistry.Counter
    let rejected: MetricsRegistry.Counter
    let highWater: MetricsRegistry.Counter

    static let instruments: [Instrument] = [.queueDropped, .queueRejected, .queueHighWater]

    init(of handler: String, in metrics: MetricsRegistry) {
        let labels = [MetricsRegistry.Label("handler", handler)]
        dropped = metrics.counter(.queueDropped, labels: labels)
        rejected = metrics.counter(.queueRejected, labels: labels)
        highWater = metrics.counter(.queueHighWater, labels: labels)
    }
}

/// The metrics of one handler, looked up once. Subscriptions of one name share them.
struct HandlerMeters: Sendable {
    let processed: MetricsRegistry.Counter
    let failed: MetricsRegistry.Counter
    let duration: MetricsRegistry.Histogram

    static let eventInstruments: [Instrument] = [.eventsProcessed, .eventsFailed, .eventProcessingDuration]

    init(events handler: String, in metrics: MetricsRegistry) {
        let labels = [MetricsRegistry.Label("handler", handler)]
        processed = metrics.counter(.eventsProcessed, labels: labels)
        failed = metrics.counter(.eventsFailed, labels: labels)
        duration = metrics.histogram(.eventProcessingDuration, labels: labels)
    }

    init(commands type: String, in metrics: MetricsRegistry) {
        let labels = [MetricsRegistry.Label("command", type)]
        processed = metrics.counter(.commandsProcessed, labels: labels)
        failed = metrics.counter(.commandsFailed, labels: labels)
        duration = metrics.histogram(.commandProcessingDuration, labels: labels)
    }
}
