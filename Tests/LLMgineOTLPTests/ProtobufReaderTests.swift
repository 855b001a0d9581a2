import LLMgineOTLP
import Testing

@Suite struct `Bytes that may be anything` {
    private static let request: [UInt8] = {
        var random = SeededGenerator(seed: 11)
        var writer = ProtobufWriter()
        let envelope = OTLP.Envelope(
            resource: OTLP.Resource(attributes: [OTLP.Attribute("a", .map([OTLP.Attribute("b", .array([.int(-1)]))]))]),
            scope: OTLP.Scope(name: "s"))
        envelope.encode([random.span()], into: &writer)
        return writer.bytes()
    }()

    /// Reads as every message that there is; all that matters is that it returns.
    private func readAsEverything(_ bytes: [UInt8]) -> Int {
        var readable = 0
        readable += (try? OTLP.Request(traces: bytes)) == nil ? 0 : 1
        readable += (try? OTLP.Request(metrics: bytes)) == nil ? 0 : 1
        readable += (try? OTLP.Request(logs: bytes)) == nil ? 0 : 1
        readable += (try? OTLP.PartialSuccess(bytes)) == nil ? 0 : 1
        readable += (try? OTLP.RPCStatus(bytes)) == nil ? 0 : 1
        return readable
    }

    @Test func `are refused or read, whichever prefix of a request they are`() {
        for length in 0..<Self.request.count {
            let prefix = Array(Self.request[..<length])
            let request = try? OTLP.Request(traces: prefix)
            #expect(length == 0 ? request?.count == 0 : request == nil, "prefix of \(length)")
            _ = readAsEverything(prefix)
        }
    }

    @Test func `are refused or read, whichever byte is wrong`() {
        for at in Self.request.indices {
            for flip: UInt8 in [0x01, 0x80, 0x07] {
                var bytes = Self.request
                bytes[at] ^= flip
                _ = readAsEverything(bytes)
            }
        }
    }

    @Test func `are refused or read when they are noise`() {
        var random = SeededGenerator(seed: 12)
        for _ in 0..<20_000 { _ = readAsEverything(random.list(60) { UInt8(truncatingIfNeeded: $0.next()) }) }
    }

    @Test(
        arguments: [
            ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], "a length of 2^64-1"),
            ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], "a length of 2^31"),
            ([0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], "an endless varint"),
            ([0x00, 0x00], "field 0"), ([0x0B], "a group"), ([0x0D, 0x00], "a cut fixed32"), ([0x09, 0x00], "a cut fixed64"),
        ] as [([UInt8], String)])
    func `are refused with a reason`(bytes: [UInt8], what: String) {
        #expect(throws: OTLP.Malformed.self, "\(what)") { try OTLP.Request(traces: bytes) }
    }

    @Test func `cannot nest values until the stack is gone`() {
        var value = OTLP.Value.bool(true)
        for _ in 0..<40 { value = .array([value]) }
        var span = OTLP.Span(traceHigh: 1, traceLow: 1, span: 1, name: "deep", start: 0, end: 0)
        span.attributes = [OTLP.Attribute("deep", value)]
        var writer = ProtobufWriter()
        OTLP.Envelope(resource: OTLP.Resource(), scope: OTLP.Scope(name: "")).encode([span], into: &writer)
        #expect(throws: OTLP.Malformed.self) { try OTLP.Request(traces: writer.bytes()) }
    }

    @Test func `are refused as a span if they have no id or one of a wrong length`() {
        var writer = ProtobufWriter()
        writer.string(5, "nameless")
        #expect(throws: OTLP.Malformed.self) { try OTLP.Span(ProtobufReader(writer.bytes())) }
        writer.bytes(1, [1, 2, 3])
        #expect(throws: OTLP.Malformed.self) { try OTLP.Span(ProtobufReader(writer.bytes())) }
    }
}
