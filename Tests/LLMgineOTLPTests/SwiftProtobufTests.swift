import LLMgineOTLP
import SwiftProtobuf
import Testing

import struct Foundation.Data

@Suite struct `What we encode` {
    private let resource = OTLP.Resource(attributes: [OTLP.Attribute("service.name", "bus"), OTLP.Attribute("process.pid", .int(7))])

    private func encoded(_ body: (OTLP.Envelope, inout ProtobufWriter) -> Void) -> [UInt8] {
        var writer = ProtobufWriter()
        body(OTLP.Envelope(resource: resource, scope: OTLP.Scope(name: "llmgine", version: "1.2")), &writer)
        return writer.bytes()
    }

    @Test(arguments: [1, 2, 3, 20_261_122] as [UInt64])
    func `is read by swift-protobuf as the spans that it was`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let spans = (0..<60).map { _ in random.span() }
        let request = try ProtoTraceRequest(serializedBytes: encoded { $0.encode(spans, into: &$1) })
        let group = try #require(request.resourceSpans.first, "seed \(seed)")
        #expect(request.resourceSpans.count == 1 && group.scopes.count == 1)
        #expect(group.resource.attributes.map(\.own) == resource.attributes)
        #expect(group.scopes[0].scope.name == "llmgine" && group.scopes[0].scope.version == "1.2")
        #expect(group.scopes[0].spans.map(\.own) == spans, "seed \(seed)")
        #expect(request.unknownFields.data.isEmpty && group.scopes[0].spans.allSatisfy { $0.unknownFields.data.isEmpty })
    }

    @Test(arguments: [4, 5, 6] as [UInt64])
    func `is read by ourselves as the spans that it was`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let spans = (0..<60).map { _ in random.span() }
        let request = try OTLP.Request(traces: encoded { $0.encode(spans, into: &$1) })
        #expect(request.groups.map(\.resource) == [resource])
        #expect(request.groups.first?.records == spans, "seed \(seed)")
    }

    @Test func `is read by ourselves when swift-protobuf wrote it`() throws {
        var random = SeededGenerator(seed: 7)
        let spans = (0..<20).map { _ in random.span() }
        let ours = encoded { $0.encode(spans, into: &$1) }
        let canonical: [UInt8] = try ProtoTraceRequest(serializedBytes: ours).serializedBytes()
        #expect(canonical.count < ours.count, "ours pads lengths to four bytes")
        #expect(try OTLP.Request(traces: canonical).groups.first?.records == spans)
    }

    @Test func `grows the buffer for a span larger than it`() throws {
        var span = OTLP.Span(traceHigh: 1, traceLow: 2, span: 3, name: "large", start: 1, end: 2)
        span.attributes = [OTLP.Attribute("text", String(repeating: "x", count: 3_000_000))]
        let request = try ProtoTraceRequest(serializedBytes: encoded { $0.encode([span], into: &$1) })
        #expect(request.resourceSpans[0].scopes[0].spans[0].own == span)
    }

    @Test func `carries sums, gauges and histograms`() throws {
        let labels = [OTLP.Attribute("topic", "orders")]
        let metrics = [
            OTLP.Metric(
                name: "llmgine.events.published", description: "Events.", unit: "{event}",
                data: .sum(
                    [OTLP.NumberPoint(attributes: labels, start: 1, time: 2, value: .int(0))], isMonotonic: true, temporality: .cumulative)),
            OTLP.Metric(name: "llmgine.queue.size", data: .gauge([OTLP.NumberPoint(start: 1, time: 2, value: .double(-0.5))])),
            OTLP.Metric(
                name: "llmgine.event.processing.duration", unit: "s",
                data: .histogram(
                    [OTLP.HistogramPoint(start: 1, time: 2, count: 6, sum: 0, bucketCounts: [1, 2, 3], bounds: [0.5, 1])],
                    temporality: .cumulative)),
        ]
        let bytes = encoded { $0.encode(metrics, into: &$1) }
        let decoded = try ProtoMetricsRequest(serializedBytes: bytes).resourceMetrics[0].scopes[0].metrics
        #expect(decoded.map(\.name) == ["llmgine.events.published", "llmgine.queue.size", "llmgine.event.processing.duration"])
        #expect(decoded[0].description_p == "Events." && decoded[0].unit == "{event}")
        let sum = decoded[0].sum
        #expect(sum.monotonic && sum.temporality == 2 && sum.points[0].value == .asInt(0) && sum.points[0].attributes.map(\.own) == labels)
        #expect(sum.points[0].start == 1 && sum.points[0].time == 2)
        #expect(decoded[1].gauge.points[0].value == .asDouble(-0.5))
        let point = decoded[2].histogram.points[0]
        #expect(decoded[2].histogram.temporality == 2 && point.count == 6 && point.hasSum && point.sum == 0)
        #expect(point.bucketCounts == [1, 2, 3] && point.bounds == [0.5, 1])
        let outline = try OTLP.Request(metrics: bytes)
        #expect(outline.groups[0].records == metrics.map { OTLP.Outline($0.name, points: 1) })
    }

    @Test func `carries log records`() throws {
        var record = OTLP.LogRecord(time: 5, observed: 6, severity: .notice, severityText: "notice", body: .string("hello"))
        record.attributes = [OTLP.Attribute("node", "a")]
        (record.traceHigh, record.traceLow, record.span, record.flags, record.eventName) = (1, 2, 3, 1, "joined")
        let bytes = encoded { $0.encode([record], into: &$1) }
        let decoded = try ProtoLogsRequest(serializedBytes: bytes).resourceLogs[0].scopes[0].records[0]
        #expect(decoded.time == 5 && decoded.observed == 6 && decoded.severity == 10 && decoded.severityText == "notice")
        #expect(decoded.body.own == .string("hello") && decoded.attributes.map(\.own) == record.attributes)
        #expect(decoded.traceID == Data(bigEndian: 1, 2) && decoded.spanID == Data(bigEndian: 3))
        #expect(decoded.flags == 1 && decoded.eventName == "joined")
        #expect(try OTLP.Request(logs: bytes).count == 1)
    }

    @Test func `answers as swift-protobuf reads it`() throws {
        let partial = OTLP.PartialSuccess(rejected: 3, message: "too old")
        let decoded = try ProtoExportResponse(serializedBytes: partial.encoded())
        #expect(decoded.partialSuccess.rejected == 3 && decoded.partialSuccess.message == "too old")
        #expect(try OTLP.PartialSuccess(partial.encoded()) == partial)
        #expect(OTLP.PartialSuccess().encoded() == [])
        let status = OTLP.RPCStatus(code: 3, message: "no")
        #expect(try ProtoRpcStatus(serializedBytes: status.encoded()).message == "no")
        #expect(try OTLP.RPCStatus(status.encoded()) == status)
    }
}

extension Data {
    init(bigEndian numbers: UInt64...) {
        self.init(numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) } })
    }

    fileprivate var numbers: [UInt64] {
        stride(from: 0, to: count, by: 8).map { at in self.dropFirst(at).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    }
}

extension ProtoAny {
    fileprivate var own: OTLP.Value {
        switch v {
        case .s(let text): .string(text)
        case .b(let flag): .bool(flag)
        case .i(let number): .int(number)
        case .d(let number): .double(number)
        case .list(let list): .array(list.values.map(\.own))
        case .kv(let list): .map(list.values.map(\.own))
        case .raw(let bytes): .bytes([UInt8](bytes))
        case nil: .string("missing")
        }
    }
}

extension ProtoKV {
    fileprivate var own: OTLP.Attribute { OTLP.Attribute(key, value.own) }
}

extension ProtoSpan {
    fileprivate var own: OTLP.Span {
        var span = OTLP.Span(
            traceHigh: traceID.numbers[0], traceLow: traceID.numbers[1], span: spanID.numbers[0], parent: parentSpanID.numbers.first ?? 0,
            name: name, kind: OTLP.Span.Kind(rawValue: UInt8(kind)) ?? .internal, start: start, end: end)
        span.traceState = traceState
        span.attributes = attributes.map(\.own)
        span.droppedAttributes = droppedAttributes
        span.events = events.map { OTLP.Event(time: $0.time, name: $0.name, attributes: $0.attributes.map(\.own)) }
        span.links = links.map {
            OTLP.Link(
                traceHigh: $0.traceID.numbers[0], traceLow: $0.traceID.numbers[1], span: $0.spanID.numbers[0],
                attributes: $0.attributes.map(\.own), flags: $0.flags)
        }
        span.status = status.code == 2 ? .error(status.message) : status.code == 1 ? .ok : .unset
        span.flags = flags
        return span
    }
}
