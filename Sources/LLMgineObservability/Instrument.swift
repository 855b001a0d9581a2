/// What a metric is: its name in both renderings, its kind and its unit.
///
/// The name is OpenTelemetry's: dotted, without `_total`. Prometheus makes `llmgine_events_published_total` of `llmgine.events.published`.
public struct Instrument: Sendable, Hashable {
    /// What its series are.
    public enum Kind: Sendable, Hashable {
        /// A number that only grows.
        case counter
        /// A number that goes up and down.
        case gauge
        /// A distribution over buckets with these upper bounds: ascending, finite, at most 31.
        case histogram(bounds: [Double])
    }

    /// The OpenTelemetry name, for example `llmgine.events.published`.
    public let name: String
    /// What it counts, in a sentence.
    public let summary: String
    /// UCUM: `s`, `By`, `{event}`; empty for a bare number.
    public let unit: String
    /// What its series are.
    public let kind: Kind

    /// Describes a metric. - Precondition: at most 31 bounds.
    public init(_ kind: Kind, _ name: String, unit: String = "", _ summary: String) {
        if case .histogram(let bounds) = kind { precondition(bounds.count <= 31, "\(name) has more than 31 bounds") }
        self.kind = kind
        self.name = name
        self.unit = unit
        self.summary = summary
    }

    /// Upper bounds in seconds: those of the messaging conventions, with microseconds in front, since a bus inside one process works in those.
    public static let durationBounds = [
        1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    ]
    /// Upper bounds in seconds for calls of models.
    public static let modelDurationBounds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
    /// Upper bounds in tokens.
    public static let tokenBounds: [Double] = [
        1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864,
    ]
}

extension Instrument {
    // Events and commands; labels: topic template, handler, priority
    /// Events handed to the bus.
    public static let eventsPublished = Instrument(.counter, "llmgine.events.published", unit: "{event}", "Events handed to the bus.")
    /// Runs of event handlers that ended well.
    public static let eventsProcessed = Instrument(
        .counter, "llmgine.events.processed", unit: "{event}", "Runs of event handlers that ended well.")
    /// Runs of event handlers that failed for good.
    public static let eventsFailed = Instrument(
        .counter, "llmgine.events.failed", unit: "{event}", "Runs of event handlers that failed for good.")
    /// Commands handed to the bus.
    public static let commandsSent = Instrument(.counter, "llmgine.commands.sent", unit: "{command}", "Commands handed to the bus.")
    /// Commands answered with success.
    public static let commandsProcessed = Instrument(
        .counter, "llmgine.commands.processed", unit: "{command}", "Commands answered with success.")
    /// Commands answered with a failure.
    public static let commandsFailed = Instrument(
        .counter, "llmgine.commands.failed", unit: "{command}", "Commands answered with a failure.")
    /// How long event handlers ran.
    public static let eventProcessingDuration = Instrument(
        .histogram(bounds: durationBounds), "llmgine.event.processing.duration", unit: "s", "How long event handlers ran.")
    /// How long command handlers ran.
    public static let commandProcessingDuration = Instrument(
        .histogram(bounds: durationBounds), "llmgine.command.processing.duration", unit: "s", "How long command handlers ran.")

    // State of the bus
    /// Events that wait.
    public static let queueSize = Instrument(.gauge, "llmgine.queue.size", unit: "{event}", "Events that wait in a queue.")
    /// Whether a queue is under pressure, by handler; without a handler, whether publishers wait, here or for a link.
    public static let backpressureActive = Instrument(
        .gauge, "llmgine.backpressure.active",
        "1 while a handler's queue is on its way from the high-water to the low-water mark; without a handler, while publishers are held back."
    )
    /// Events that had to go because a queue was full.
    public static let queueDropped = Instrument(
        .counter, "llmgine.queue.dropped", unit: "{event}", "Events that had to go because a queue was full.")
    /// Events that a full queue refused.
    public static let queueRejected = Instrument(
        .counter, "llmgine.queue.rejected", unit: "{event}", "Events that a full queue refused.")
    /// How often queues reached their high-water mark.
    public static let queueHighWater = Instrument(
        .counter, "llmgine.queue.high_water_hits", "How often queues reached their high-water mark.")
    /// The state of a breaker as a number.
    public static let circuitBreakerState = Instrument(.gauge, "llmgine.circuit_breaker.state", "0 closed, 1 open, 2 half open.")
    /// The state of a breaker, one series per state.
    public static let circuitBreakerStatus = Instrument(
        .gauge, "llmgine.circuit_breaker.status", "1 for the state that the breaker is in, 0 for the others.")
    /// Events in the dead letters.
    public static let deadLetterQueueSize = Instrument(
        .gauge, "llmgine.dead_letter_queue.size", unit: "{event}", "Events that could not be handled and are kept.")
    /// Sessions that are open.
    public static let activeSessions = Instrument(.gauge, "llmgine.active_sessions", unit: "{session}", "Sessions that are open.")
    /// Handlers that are registered.
    public static let registeredHandlers = Instrument(
        .gauge, "llmgine.registered_handlers", unit: "{handler}", "Handlers that are registered.")

    // Links between nodes; label: the peer's node
    /// Links that are up.
    public static let activeConnections = Instrument(
        .gauge, "llmgine.server.active_connections", unit: "{connection}", "Links to other nodes that are up.")
    /// Links that had to be made again.
    public static let peerReconnects = Instrument(
        .counter, "llmgine.peer.reconnects", unit: "{connection}", "Links to other nodes that were made again.")
    /// Frames that crossed a link.
    public static let peerFrames = Instrument(.counter, "llmgine.peer.frames", unit: "{frame}", "Frames that crossed a link.")
    /// Bytes that crossed a link.
    public static let peerIO = Instrument(.counter, "llmgine.peer.io", unit: "By", "Bytes that crossed a link.")

    // LLM calls; labels: operation, provider, model, token type
    /// How long calls of models took.
    public static let modelDuration = Instrument(
        .histogram(bounds: modelDurationBounds), "gen_ai.client.operation.duration", unit: "s", "How long calls of models took.")
    /// From the request to the first piece of an answer.
    public static let modelTimeToFirstChunk = Instrument(
        .histogram(bounds: modelDurationBounds), "gen_ai.client.operation.time_to_first_chunk", unit: "s",
        "From the request to the first piece of an answer.")
    /// Tokens that calls of models used.
    public static let modelTokens = Instrument(
        .histogram(bounds: tokenBounds), "gen_ai.client.token.usage", unit: "{token}", "Tokens that calls of models used.")

    // Telemetry about telemetry
    /// Events that handlers were to be told about.
    public static let observabilityEvents = Instrument(
        .counter, "llmgine.observability.events", unit: "{event}", "Events that observability handlers were to be told about.")
    /// Of these, the ones that found the queue full.
    public static let observabilityDropped = Instrument(
        .counter, "llmgine.observability.dropped", unit: "{event}", "Events that were dropped because observability handlers were slow.")
    /// Spans that wait for the exporter.
    public static let spanQueueSize = Instrument(
        .gauge, "otel.sdk.processor.span.queue.size", unit: "{span}", "Finished spans that wait for the exporter.")
    /// Spans that found the queue full.
    public static let spanQueueDrops = Instrument(
        .counter, "otel.sdk.processor.span.processed", unit: "{span}", "Spans that did not reach the exporter, by error_type.")
    /// Spans that the exporter dealt with.
    public static let spansExported = Instrument(
        .counter, "otel.sdk.exporter.span.exported", unit: "{span}", "Spans that were exported, or lost if there is an error_type.")
    /// How long exports took.
    public static let exportDuration = Instrument(
        .histogram(bounds: durationBounds), "otel.sdk.exporter.operation.duration", unit: "s", "How long exports took.")
}
