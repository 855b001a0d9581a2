import AsyncHTTPClient
import LLMgineOTLP
import LLMgineOTLPSink
import NIOCore
import NIOHTTP1
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The sink` {
    private func withSink(_ test: (OTLPSink, String) async throws -> Void) async throws {
        let sink = OTLPSink(port: 0, logger: silent)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await sink.run() }
            try await test(sink, "http://127.0.0.1:\(try await sink.port())")
            group.cancelAll()
        }
    }

    private func post(_ url: String, _ body: [UInt8], headers: HTTPHeaders = ["Content-Type": "application/x-protobuf"]) async throws -> (
        status: Int, body: [UInt8]
    ) {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers = headers
        request.body = .bytes(ByteBuffer(bytes: body))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        return (Int(response.status.code), [UInt8](try await response.body.collect(upTo: 100_000).readableBytesView))
    }

    private func expect(
        _ status: Int, _ url: String, _ body: [UInt8], headers: HTTPHeaders = ["Content-Type": "application/x-protobuf"],
        location: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await post(url, body, headers: headers)
        #expect(answer.status == status, sourceLocation: location)
    }

    private var spans: [UInt8] {
        var writer = ProtobufWriter()
        OTLP.Envelope(resource: OTLP.Resource(attributes: [OTLP.Attribute("service.instance.id", "n")]), scope: OTLP.Scope(name: "s"))
            .encode(
                [OTLP.Span(traceHigh: 1, traceLow: 2, span: 3, name: "chat m", start: 1, end: 2)], into: &writer)
        return writer.bytes()
    }

    @Test func `takes protobuf, with or without a suffix on the content type`() async throws {
        try await withSink { sink, url in
            try await expect(200, url + "/v1/traces", spans)
            try await expect(200, url + "/v1/traces", spans, headers: ["Content-Type": "application/x-protobuf; charset=utf-8"])
            try await expect(200, url + "/v1/traces", [])  // an empty request has nothing to object to
            #expect(sink.summary.spans == 2 && sink.summary.nodes == ["n": 2] && sink.summary.operations == ["chat": 2])
        }
    }

    @Test func `says what is wrong with a request`() async throws {
        try await withSink { sink, url in
            try await expect(415, url + "/v1/traces", spans, headers: ["Content-Type": "application/json"])
            try await expect(415, url + "/v1/traces", spans, headers: [:])
            let encoded: HTTPHeaders = ["Content-Type": "application/x-protobuf", "Content-Encoding": "br"]
            try await expect(415, url + "/v1/traces", spans, headers: encoded)
            let gzip: HTTPHeaders = ["Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"]
            try await expect(400, url + "/v1/traces", spans, headers: gzip)
            let garbage = try await post(url + "/v1/traces", [0xFF, 0xFF])
            #expect(garbage.status == 400)
            #expect(try OTLP.RPCStatus(garbage.body).message.contains("malformed"))
            try await expect(404, url + "/v1/unknown", spans)
            #expect(sink.summary.refused == 5 && sink.summary.spans == 0)
        }
    }

    @Test func `answers what it has as JSON`() async throws {
        try await withSink { _, url in
            _ = try await post(url + "/v1/traces", spans)
            let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: url + "/"), timeout: .seconds(10))
            let text = String(buffer: try await response.body.collect(upTo: 100_000))
            #expect(response.headers.first(name: "Content-Type") == "application/json")
            #expect(
                text == """
                    {"data_points":0,"log_records":0,"metrics":[],"nodes":{"n":1},"operations":{"chat":1},"refused":0,"requests":1,"services":{"unknown":1},"spans":1,"spans_beyond_trace_limit":0,"traces":1,"traces_across_nodes":0}
                    """)
        }
    }

    @Test func `says that its port is taken`() async throws {
        try await withSink { first, _ in
            let second = OTLPSink(port: try await first.port(), logger: silent)
            await #expect(throws: (any Error).self) { try await second.run() }
            await #expect(throws: (any Error).self) { try await second.port() }
        }
    }

    @Test func `counts log records`() async throws {
        try await withSink { sink, url in
            var writer = ProtobufWriter()
            OTLP.Envelope(resource: OTLP.Resource(), scope: OTLP.Scope(name: "s")).encode(
                [OTLP.LogRecord(time: 1, observed: 1, severity: .info, severityText: "info", body: .string("x"))], into: &writer)
            try await expect(200, url + "/v1/logs", writer.bytes())
            #expect(sink.summary.logRecords == 1)
        }
    }
}
