import LLMgineCore
import LLMgineOTLP
import LLMgineObservability
import Testing
import Tracing

@Suite struct `The tracer of swift-distributed-tracing` {
    private struct Refused: Error {}

    private struct Carrier: Injector, Extractor {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    }

    private func drained(_ tracer: NodeTracer) -> [FinishedSpan] {
        var spans: [FinishedSpan] = []
        tracer.recorder.drain(into: &spans, maximum: .max)
        return spans
    }

    @Test func `nests spans below the handler's`() throws {
        let node = NodeTracer(enabled: true)
        let tracer = LLMgineTracer(node)
        let handler = TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 3)
        var context = ServiceContext.topLevel
        context.llmgineTrace = handler
        ServiceContext.withValue(context) {
            tracer.withSpan("outer") { outer in
                outer.attributes["tool"] = "search"
                tracer.withSpan("inner", ofKind: .client) { _ in }
            }
        }
        let spans = drained(node)
        #expect(spans.map(\.subject) == ["inner", "outer"])
        let (inner, outer) = (spans[0], spans[1])
        #expect(outer.parent == 3 && inner.parent == outer.context.span)
        #expect(outer.context.traceLow == 2 && inner.context.traceLow == 2 && inner.extras?.kind == .client)
        #expect(outer.extras?.attributes == [OTLP.Attribute("tool", "search")])
    }

    @Test func `hands a context on even if the span is dropped`() {
        let node = NodeTracer(sampler: Sampler(ratio: 0.5), enabled: true)
        let tracer = LLMgineTracer(node)
        var outers = 0
        for _ in 0..<2_000 {
            tracer.withSpan("outer", context: .topLevel) { outer in
                outer.attributes["ignored"] = outer.isRecording
                #expect(outer.context.llmgineTrace?.isValid == true)
                tracer.withSpan("inner", context: outer.context) { inner in
                    #expect(inner.isRecording == outer.isRecording)
                    #expect(inner.context.llmgineTrace?.traceLow == outer.context.llmgineTrace?.traceLow)
                }
                outers += outer.isRecording ? 1 : 0
            }
        }
        #expect((800...1_200).contains(outers))
        #expect(drained(node).count == 2 * outers)
    }

    @Test func `keeps errors, events, links and the status`() throws {
        let node = NodeTracer(enabled: true)
        let tracer = LLMgineTracer(node)
        var other = ServiceContext.topLevel
        other.llmgineTrace = TraceContext(traceHigh: 5, traceLow: 6, span: 7, flags: 1)
        #expect(throws: Refused.self) {
            try tracer.withSpan("work", context: .topLevel) { span in
                span.addEvent(SpanEvent(name: "half way", attributes: ["n": 1]))
                span.addLink(SpanLink(context: other, attributes: [:]))
                span.setStatus(SpanStatus(code: .error, message: "refused"))
                throw Refused()
            }
        }
        let span = try #require(drained(node).first)
        #expect(span.status == .error("refused"))
        #expect(span.extras?.events.map(\.name) == ["half way", "exception"])
        #expect(span.extras?.links == [OTLP.Link(traceHigh: 5, traceLow: 6, span: 7, flags: 1)])
    }

    @Test func `ends a span once and takes no more after that`() {
        let node = NodeTracer(enabled: true)
        let span = LLMgineTracer(node).startSpan("once", context: .topLevel)
        span.end()
        span.attributes["late"] = 1
        span.end()
        #expect(!span.isRecording)
        let spans = drained(node)
        #expect(spans.count == 1 && spans.first?.extras?.attributes == [])
    }

    @Test func `keeps 128 attributes and counts the rest`() {
        let node = NodeTracer(enabled: true)
        LLMgineTracer(node).withSpan("many", context: .topLevel) { span in
            span.updateAttributes { attributes in
                for number in 0..<140 { attributes["k\(number)"] = number }
            }
        }
        let extras = drained(node).first?.extras
        #expect(extras?.attributes.count == 128 && extras?.droppedAttributes == 12)
    }

    @Test func `carries the context in traceparent`() {
        let tracer = LLMgineTracer(NodeTracer(enabled: true))
        var context = ServiceContext.topLevel
        tracer.extract(["traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"], into: &context, using: Carrier())
        #expect(context.llmgineTrace?.span == 0xb7ad_6b71_6920_3331)
        var carrier: [String: String] = [:]
        tracer.inject(context, into: &carrier, using: Carrier())
        #expect(carrier["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        tracer.extract(["traceparent": "nonsense"], into: &context, using: Carrier())
        #expect(context.llmgineTrace == nil)
    }

    @Test func `does nothing while tracing is off`() {
        let node = NodeTracer()
        LLMgineTracer(node).withSpan("off", context: .topLevel) { span in #expect(!span.isRecording) }
        #expect(node.recorder.counts.offered == 0)
    }
}
