/// What a sink has received, in numbers.
public struct SinkSummary: Sendable, Hashable, Codable {
    /// Requests that were answered with success.
    public var requests = 0
    /// Requests that were refused: bad bytes, a wrong content type, too large.
    public var refused = 0
    /// Spans received.
    public var spans = 0
    /// Data points of metrics received.
    public var dataPoints = 0
    /// Log records received.
    public var logRecords = 0
    /// Spans by `service.name`; services past the limit are counted under `other`.
    public var services: [String: Int] = [:]
    /// Spans by node: `llmgine.node` of the resource, else `service.instance.id`.
    public var nodes: [String: Int] = [:]
    /// Spans by the first word of their name: `publish`, `process`, `chat`.
    public var operations: [String: Int] = [:]
    /// Names of the metrics received, sorted.
    public var metrics: [String] = []
    /// Different traces among the spans.
    public var traces = 0
    /// Traces with spans from two nodes or more.
    public var tracesAcrossNodes = 0
    /// Spans of traces that came when the table of traces was full; they are counted everywhere else.
    public var spansBeyondTraceLimit = 0

    /// Nothing received.
    public init() {}

    /// The names in JSON.
    public enum CodingKeys: String, CodingKey {
        /// As the properties, in snake case.
        case requests, refused, spans, services, nodes, operations, metrics, traces
        /// Data points of metrics.
        case dataPoints = "data_points"
        /// Log records.
        case logRecords = "log_records"
        /// Traces across nodes.
        case tracesAcrossNodes = "traces_across_nodes"
        /// Spans beyond the limit of traces.
        case spansBeyondTraceLimit = "spans_beyond_trace_limit"
    }
}
