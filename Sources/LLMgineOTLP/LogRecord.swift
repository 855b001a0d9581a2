extension OTLP {
    /// One log line as it travels.
    package struct LogRecord: Sendable, Hashable {
        /// How severe it is: the numbers that OpenTelemetry gives the levels of swift-log.
        package enum Severity: UInt8, Sendable, Hashable {
            case trace = 1
            case debug = 5
            case info = 9
            case notice = 10
            case warning = 13
            case error = 17
            case critical = 18
        }

        package var time: UInt64
        package var observed: UInt64
        package var severity: Severity
        package var severityText: String
        package var body: Value
        package var attributes: [Attribute] = []
        /// All zero outside a span.
        package var traceHigh: UInt64 = 0
        package var traceLow: UInt64 = 0
        package var span: UInt64 = 0
        package var flags: UInt32 = 0
        package var eventName = ""

        package init(time: UInt64, observed: UInt64, severity: Severity, severityText: String, body: Value) {
            self.time = time
            self.observed = observed
            self.severity = severity
            self.severityText = severityText
            self.body = body
        }
    }
}
