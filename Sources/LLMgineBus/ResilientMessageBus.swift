public import LLMgineObservability

/// The name by which users of the Python llmgine know a bus with retries, breakers, dead letters and bounded queues.
///
/// It is the same class: there is one engine, and what makes it resilient is configuration, on by default and switched off feature by feature.
///
/// | feature | switched off by |
/// |---|---|
/// | retries of events and commands | ``BusResilience/retry`` `= nil` |
/// | circuit breakers | ``BusResilience/circuitBreaker`` `= nil` |
/// | dead letters | ``BusResilience/deadLetterCapacity`` `= 0` |
/// | bounded queues, backpressure | ``BusResilience/hasBoundedQueues`` `= false` |
/// | metrics | ``BusConfiguration/hasMetrics`` `= false` |
public typealias ResilientMessageBus = MessageBus

extension MessageBus {
    /// A bus for those who want one for the whole process, with the default configuration, made when it is first asked for. Nothing in llmgine uses it
    /// by itself, and making another bus makes another bus.
    public static let shared = MessageBus()

    /// Creates a bus with resilience as given and everything else by default.
    public convenience init(resilience: BusResilience, observability: ObservabilityManager? = nil) {
        self.init(configuration: BusConfiguration(resilience: resilience), observability: observability)
    }
}
