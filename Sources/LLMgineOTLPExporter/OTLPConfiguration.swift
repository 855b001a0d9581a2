package import LLMgineOTLP
public import LLMgineObservability

/// Where telemetry goes and how, as OpenTelemetry's environment variables say it.
///
/// A variable that cannot be used never stops a program: it leaves a line in ``warnings`` and its default in force.
public struct OTLPConfiguration: Sendable {
    /// What one signal (traces, metrics) is sent to and with.
    public struct Signal: Sendable {
        /// Whether it is exported at all.
        public var isEnabled = true
        /// The whole URL.
        public var endpoint: String
        /// Headers of every request. They may hold secrets and are never logged.
        public var headers: [(name: String, value: String)] = []
        /// Whether requests are compressed with gzip: about 4 us and a tenth of the bytes per span. Worth it on a network, not on one host.
        public var usesGzip = false
        /// How long one attempt may take.
        public var timeout = Duration.seconds(10)
        /// The PEM file of the certificates to trust, for `https` only; nil for the system's.
        public var certificate: String?
        /// The PEM file of the client's certificate, for `https` only.
        public var clientCertificate: String?
        /// The PEM file of the client's key, for `https` only.
        public var clientKey: String?

        /// Sends to an endpoint with the defaults.
        public init(endpoint: String) { self.endpoint = endpoint }
    }

    /// Switches everything off (`OTEL_SDK_DISABLED`). Contexts of others still pass through.
    public var isDisabled = false
    /// Whether the environment names an endpoint; where none is named, the default is an address on this host that may well be nobody's.
    public var isEndpointGiven = false
    /// `service.name` of the resource; nil for the one among ``resourceAttributes``, else `llmgine`.
    public var serviceName: String?
    /// What else is said about this process, in order.
    public var resourceAttributes: [(name: String, value: String)] = []
    /// Which traces are recorded: what to make the node's tracer with.
    public var sampler = Sampler.parentBased
    /// Where spans go.
    public var traces = Signal(endpoint: "http://localhost:4318/v1/traces")
    /// Where metrics go.
    public var metrics = Signal(endpoint: "http://localhost:4318/v1/metrics")
    /// How long a span waits for its batch to fill.
    public var scheduleDelay = Duration.seconds(5)
    /// How long a batch of spans is tried, with all retries.
    public var exportTimeout = Duration.seconds(30)
    /// How many finished spans may wait: 65,536. OpenTelemetry's own default, 2,048, loses most of a burst of 10,000.
    public var maximumQueueSize = 65_536
    /// How many spans go in one request.
    public var maximumBatchSize = 512
    /// The time between two exports of metrics, from start to start.
    public var metricInterval = Duration.seconds(60)
    /// How long an export of metrics is tried, with all retries.
    public var metricTimeout = Duration.seconds(30)
    /// How long a shutdown waits for what is still to be sent.
    public var flushLimit = Duration.seconds(2)
    /// The first delay between two attempts; it doubles up to ``retryCap``, and a random part of it is taken.
    public var retryBase = Duration.milliseconds(500)
    /// The longest delay between two attempts that the receiver did not ask for.
    public var retryCap = Duration.seconds(15)
    /// What could not be used, in words for a person. Holds no header values.
    public var warnings: [String] = []

    /// The defaults: an OTLP receiver on this host.
    public init() {}

    /// Sends everything to a receiver: `http://host:port`, to which `/v1/traces` and `/v1/metrics` are added.
    public init(endpoint: String) {
        setEndpoint(base: endpoint)
        isEndpointGiven = true
    }

    mutating func setEndpoint(base: String) {
        let base = base.hasSuffix("/") ? base : base + "/"
        traces.endpoint = base + "v1/traces"
        metrics.endpoint = base + "v1/metrics"
    }

    /// The bounds of the span batcher that follow.
    package var limits: SpanBatcher.Limits {
        var limits = SpanBatcher.Limits()
        limits.batch = min(maximumBatchSize, maximumQueueSize)
        limits.scheduleDelay = scheduleDelay
        limits.exportTimeout = exportTimeout
        limits.attemptTimeout = traces.timeout
        limits.retryBase = retryBase
        limits.retryCap = retryCap
        return limits
    }
}
