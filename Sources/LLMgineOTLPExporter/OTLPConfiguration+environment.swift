import LLMgineObservability

extension OTLPConfiguration {
    /// Reads OpenTelemetry's environment variables. An empty one counts as not set; a variable of one signal goes before the general one.
    public init(environment: [String: String]) {
        self.init()
        var reader = EnvironmentReader(environment: environment)
        isDisabled = reader.flag("OTEL_SDK_DISABLED")
        readResource(&reader)
        sampler = Sampler(environment: reader.variables, warnings: &reader.warnings)
        readEndpoints(&reader)
        readSignal(&traces, "TRACES", &reader)
        readSignal(&metrics, "METRICS", &reader)
        traces.isEnabled = reader.exporters("OTEL_TRACES_EXPORTER", others: [])
        metrics.isEnabled = reader.exporters("OTEL_METRICS_EXPORTER", others: ["prometheus"])
        scheduleDelay = reader.milliseconds("OTEL_BSP_SCHEDULE_DELAY") ?? scheduleDelay
        exportTimeout = reader.timeout("OTEL_BSP_EXPORT_TIMEOUT") ?? exportTimeout
        maximumQueueSize = reader.count("OTEL_BSP_MAX_QUEUE_SIZE") ?? maximumQueueSize
        maximumBatchSize = reader.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") ?? maximumBatchSize
        if maximumBatchSize > maximumQueueSize {
            reader.warnings.append("OTEL_BSP_MAX_EXPORT_BATCH_SIZE: larger than the queue; using \(maximumQueueSize)")
            maximumBatchSize = maximumQueueSize
        }
        metricInterval = reader.milliseconds("OTEL_METRIC_EXPORT_INTERVAL") ?? metricInterval
        metricTimeout = reader.timeout("OTEL_METRIC_EXPORT_TIMEOUT") ?? metricTimeout
        if reader["OTEL_CONFIG_FILE"] != nil { reader.warnings.append("OTEL_CONFIG_FILE: not supported; the other variables are used") }
        warnings = reader.warnings
    }

    private mutating func readResource(_ reader: inout EnvironmentReader) {
        serviceName = reader["OTEL_SERVICE_NAME"]
        resourceAttributes = reader.pairs("OTEL_RESOURCE_ATTRIBUTES") ?? []
    }

    private mutating func readEndpoints(_ reader: inout EnvironmentReader) {
        if let base = reader.url("OTEL_EXPORTER_OTLP_ENDPOINT") {
            setEndpoint(base: base)
            isEndpointGiven = true
        }
        if let url = reader.url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
            traces.endpoint = url
            isEndpointGiven = true
        }
        if let url = reader.url("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") { metrics.endpoint = url }
    }

    private func readSignal(_ signal: inout Signal, _ name: String, _ reader: inout EnvironmentReader) {
        func variable(_ suffix: String) -> String {
            let own = "OTEL_EXPORTER_OTLP_\(name)_\(suffix)"
            return reader[own] == nil ? "OTEL_EXPORTER_OTLP_\(suffix)" : own
        }
        signal.headers = reader.pairs(variable("HEADERS")) ?? []
        signal.usesGzip = reader.choice(variable("COMPRESSION"), ["gzip", "none"]) == "gzip"
        signal.timeout = reader.timeout(variable("TIMEOUT")) ?? signal.timeout
        signal.certificate = reader[variable("CERTIFICATE")]
        signal.clientCertificate = reader[variable("CLIENT_CERTIFICATE")]
        signal.clientKey = reader[variable("CLIENT_KEY")]
        _ = reader.choice(variable("PROTOCOL"), ["http/protobuf"])
    }
}

/// Reads variables by OpenTelemetry's rules and gathers what was wrong with them.
struct EnvironmentReader {
    /// The variables that are set and not empty.
    let variables: [String: String]
    var warnings: [String] = []

    /// "No limit", in OpenTelemetry a timeout of 0.
    private static let noLimit = Duration.seconds(86_400)

    init(environment: [String: String]) {
        variables = environment.filter { $0.key.hasPrefix("OTEL_") }.compactMapValues { value in
            let trimmed = Self.trimmed(value[...])
            return trimmed.isEmpty ? nil : trimmed
        }
    }

    subscript(name: String) -> String? { variables[name] }

    /// Only `true`, in any case, is true.
    mutating func flag(_ name: String) -> Bool {
        guard let text = self[name]?.lowercased() else { return false }
        if text != "true", text != "false" { warn(name, "expected true or false; using false") }
        return text == "true"
    }

    mutating func choice(_ name: String, _ known: [String]) -> String? {
        guard let text = self[name]?.lowercased() else { return nil }
        if known.contains(text) { return text }
        warn(name, "expected \(known.joined(separator: " or ")); ignored")
        return nil
    }

    /// At least 1.
    mutating func count(_ name: String) -> Int? { number(name, in: 1...1_000_000_000) }

    /// At least 1 ms.
    mutating func milliseconds(_ name: String) -> Duration? { number(name, in: 1...86_400_000).map { .milliseconds($0) } }

    /// At least 0 ms, which means no limit.
    mutating func timeout(_ name: String) -> Duration? {
        number(name, in: 0...86_400_000).map { $0 == 0 ? Self.noLimit : .milliseconds($0) }
    }

    mutating func url(_ name: String) -> String? {
        guard let text = self[name] else { return nil }
        for scheme in ["http://", "https://"] where text.lowercased().hasPrefix(scheme) {
            guard let first = text.dropFirst(scheme.count).first, first != "/", first != ":", !text.contains(" ") else { break }
            return text
        }
        warn(name, "expected a URL like http://host:4318; ignored")
        return nil
    }

    /// Whether the list of exporters names ours; the default does.
    mutating func exporters(_ name: String, others: [String]) -> Bool {
        guard let text = self[name]?.lowercased() else { return true }
        let names = text.split(separator: ",").map { Self.trimmed($0) }
        for unknown in names where unknown != "otlp" && unknown != "none" && !others.contains(unknown) {
            warn(name, "\"\(unknown.prefix(40))\" is not supported; ignored")
        }
        return names.contains("otlp")
    }

    /// `k=v,k2=v2` with percent-encoded values. One bad entry and the whole variable is discarded, as OpenTelemetry says.
    mutating func pairs(_ name: String) -> [(name: String, value: String)]? {
        guard let text = self[name] else { return nil }
        var pairs: [(name: String, value: String)] = []
        for entry in text.split(separator: ",") {
            let entry = Self.trimmed(entry)
            guard let equals = entry.firstIndex(of: "="),
                let key = Self.percentDecoded(Self.trimmed(entry[..<equals])), !key.isEmpty,
                let value = Self.percentDecoded(Self.trimmed(entry[entry.index(after: equals)...]))
            else {
                warn(name, "expected name=value,name=value with percent-encoded values; ignored")
                return nil
            }
            pairs.append((key, value))
        }
        return pairs
    }

    private mutating func number(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let text = self[name] else { return nil }
        if let number = Int(text), range.contains(number) { return number }
        warn(name, "expected a whole number from \(range.lowerBound) to \(range.upperBound); ignored")
        return nil
    }

    /// A general variable is read once per signal and complained about once.
    private mutating func warn(_ name: String, _ what: String) {
        let warning = "\(name): \(what)"
        if !warnings.contains(warning) { warnings.append(warning) }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var text = Substring(text)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    private static func percentDecoded(_ text: String) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(nibble), let low = rest.popFirst().flatMap(nibble) else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
