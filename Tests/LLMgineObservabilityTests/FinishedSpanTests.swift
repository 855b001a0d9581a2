import LLMgineCore
import LLMgineOTLP
import LLMgineObservability
import Testing

@Suite struct `A finished span` {
    private let context = TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 3)

    private func exported(_ span: FinishedSpan) throws -> OTLP.Span {
        var writer = ProtobufWriter()
        OTLP.Envelope(resource: OTLP.Resource(), scope: OTLP.Scope(name: "test")).encode(into: &writer) { span.encode(asRecordIn: &$0) }
        return try #require(try OTLP.Request(traces: writer.bytes()).groups.first?.records.first)
    }

    @Test func `of a publish follows the messaging conventions`() throws {
        let id = MessageID(node: "a", incarnation: Incarnation(36), sequence: 5)
        let span = try exported(
            FinishedSpan(
                .publish, "orders.eu", context: context, start: 10, end: 20, notes: [.messageID(id), .priority(.high), .session("s1")]))
        #expect(span.name == "publish orders.eu" && span.kind == .producer && span.start == 10 && span.end == 20)
        #expect(span.traceHigh == 1 && span.traceLow == 2 && span.span == 3 && span.parent == 0 && span.flags == 0x103)
        #expect(
            span.attributes == [
                OTLP.Attribute("messaging.system", "llmgine"), OTLP.Attribute("messaging.operation.name", "publish"),
                OTLP.Attribute("messaging.operation.type", "send"), OTLP.Attribute("messaging.destination.name", "orders.eu"),
                OTLP.Attribute("messaging.message.id", "a/10/5"), OTLP.Attribute("messaging.llmgine.priority", "high"),
                OTLP.Attribute("messaging.message.conversation_id", "s1"),
            ])
    }

    @Test func `of a handler is named after the filter and points at the message's creation`() throws {
        let span = try exported(
            FinishedSpan(
                .process, "orders.eu", context: context, parent: 9, parentIsRemote: true, start: 10, end: 5, status: .error("boom"),
                link: TraceContext(traceHigh: 1, traceLow: 2, span: 9, flags: 1),
                notes: [.template("orders.>"), .errorType("handlerFailed"), .attempt(2)]))
        #expect(span.name == "process orders.>" && span.kind == .consumer && span.parent == 9 && span.flags == 0x303)
        #expect(span.end == 10, "a span does not end before it starts")
        #expect(span.status == .error("boom"))
        #expect(span.links == [OTLP.Link(traceHigh: 1, traceLow: 2, span: 9, flags: 0x301)])
        #expect(span.attributes.contains(OTLP.Attribute("messaging.destination.name", "orders.eu")))
        #expect(span.attributes.contains(OTLP.Attribute("error.type", "handlerFailed")))
        #expect(span.attributes.contains(OTLP.Attribute("messaging.llmgine.delivery.attempt", .int(2))))
    }

    @Test func `of a model call follows the GenAI conventions`() throws {
        let span = try exported(
            FinishedSpan(
                .llmChat, "embedded/pirate", context: context, start: 1, end: 2, status: .ok,
                notes: [
                    .provider("embedded"), .inputTokens(12), .outputTokens(34), .finishReason("stop"), .streamed(true),
                    .timeToFirstChunk(.milliseconds(250)), .worker("b"), .session(.bus), .other("x", .bool(false)),
                ]))
        #expect(span.name == "chat embedded/pirate" && span.kind == .client && span.status == .ok)
        #expect(
            span.attributes == [
                OTLP.Attribute("gen_ai.operation.name", "chat"), OTLP.Attribute("gen_ai.request.model", "embedded/pirate"),
                OTLP.Attribute("gen_ai.provider.name", "embedded"), OTLP.Attribute("gen_ai.usage.input_tokens", .int(12)),
                OTLP.Attribute("gen_ai.usage.output_tokens", .int(34)),
                OTLP.Attribute("gen_ai.response.finish_reasons", .array([.string("stop")])),
                OTLP.Attribute("gen_ai.request.stream", .bool(true)), OTLP.Attribute("gen_ai.response.time_to_first_chunk", .double(0.25)),
                OTLP.Attribute("llmgine.worker.node", "b"), OTLP.Attribute("x", .bool(false)),
            ])
    }

    @Test func `says how many notes past the limit were dropped`() throws {
        let notes = (0..<130).map { SpanNote.other("k\($0)", .int(Int64($0))) }
        let span = try exported(FinishedSpan(.custom, "turn", context: context, start: 1, end: 2, notes: notes))
        #expect(span.name == "turn" && span.kind == .internal && span.attributes.count == 128 && span.droppedAttributes == 2)
    }
}
