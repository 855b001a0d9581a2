import LLMgineOTLP

/// Adds up what arrives, in bounded memory. A value: the sink keeps it under its lock.
struct SinkLedger {
    struct TraceID: Hashable {
        let high: UInt64
        let low: UInt64
    }

    private(set) var summary = SinkSummary()
    /// The newest spans, at most ``maximumKept``.
    private(set) var recent: [OTLP.Span] = []
    /// Which nodes contributed to a trace: a bit each, by the order in which the nodes were first seen.
    private var nodesOfTrace: [TraceID: UInt64] = [:]
    private var bits: [String: UInt64] = [:]
    private var metricNames: Set<String> = []

    /// Traces told apart: about 6 MB.
    static let maximumTraces = 100_000
    /// Services, nodes, operations and metrics told apart, each.
    static let maximumNames = 1_000
    /// Nodes told apart within a trace; further ones share a bit.
    static let maximumNodesOfTrace = 64
    /// Spans kept whole.
    static let maximumKept = 2_048

    mutating func add(_ request: OTLP.Request<OTLP.Span>) {
        summary.requests += 1
        for group in request.groups {
            let node = group.resource["llmgine.node"] ?? group.resource["service.instance.id"] ?? "unknown"
            let bit = bit(of: node)
            Self.count(group.records.count, under: group.resource["service.name"] ?? "unknown", in: &summary.services)
            Self.count(group.records.count, under: node, in: &summary.nodes)
            for span in group.records { add(span, bit: bit) }
        }
    }

    mutating func add(metrics request: OTLP.Request<OTLP.Outline>) {
        summary.requests += 1
        for metric in request.groups.flatMap(\.records) {
            summary.dataPoints += metric.points
            if metricNames.count < Self.maximumNames { metricNames.insert(metric.name) }
        }
        summary.metrics = metricNames.sorted()
    }

    mutating func add(logs request: OTLP.Request<OTLP.Outline>) {
        summary.requests += 1
        summary.logRecords += request.count
    }

    mutating func refuse() { summary.refused += 1 }

    private mutating func add(_ span: OTLP.Span, bit: UInt64) {
        summary.spans += 1
        Self.count(1, under: String(span.name.prefix { $0 != " " }.prefix(64)), in: &summary.operations)
        if recent.count == Self.maximumKept { recent.removeFirst(Self.maximumKept / 2) }
        recent.append(span)
        let trace = TraceID(high: span.traceHigh, low: span.traceLow)
        if let before = nodesOfTrace[trace] {
            nodesOfTrace[trace] = before | bit
            // The second node makes it a trace across nodes, once.
            if before & (before - 1) == 0, before | bit != before { summary.tracesAcrossNodes += 1 }
        } else if nodesOfTrace.count < Self.maximumTraces {
            nodesOfTrace[trace] = bit
            summary.traces += 1
        } else {
            summary.spansBeyondTraceLimit += 1
        }
    }

    private mutating func bit(of node: String) -> UInt64 {
        if let bit = bits[node] { return bit }
        let bit: UInt64 = 1 << UInt64(min(bits.count, Self.maximumNodesOfTrace - 1))
        if bits.count < Self.maximumNames { bits[node] = bit }
        return bit
    }

    private static func count(_ amount: Int, under name: String, in table: inout [String: Int]) {
        guard amount > 0 else { return }
        table[table[name] != nil || table.count < maximumNames ? name : "other", default: 0] += amount
    }
}
