import LLMgineCore
public import Tracing

/// The node's tracer behind the interface of swift-distributed-tracing, so that `withSpan` in a handler makes a child of the handler's span.
///
/// ```swift
/// try await withTracer(node.observability.tracing) { try await withSpan("look up") { span in ... } }
/// ```
///
/// A span that is not sampled still hands its context on, with `sampled` off: nothing below it starts a trace of its own.
public struct LLMgineTracer: Tracer {
    /// What a span of ours is.
    public typealias Span = LLMgineSpan

    private let tracer: NodeTracer

    /// Wraps the tracer of a node.
    public init(_ tracer: NodeTracer) { self.tracer = tracer }

    /// Starts a span below the one that the context names, or a trace if it names none.
    public func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind, at instant: @autoclosure () -> Instant,
        function: String, file fileID: String, line: UInt
    ) -> LLMgineSpan {
        var context = context()
        let parent = context.llmgineTrace
        let trace = tracer.started(below: parent)
        context.llmgineTrace = trace
        let records = trace?.isSampled == true && tracer.isEnabled
        return LLMgineSpan(
            operationName, kind: kind, context: context, trace: trace, parent: parent?.span ?? 0,
            start: records ? instant().nanosecondsSinceEpoch : 0,
            tracer: records ? tracer : nil)
    }

    /// Does nothing: spans are on their way as soon as they end.
    public func forceFlush() {}

    /// Reads `traceparent`.
    public func extract<Carrier, Extract: Extractor>(_ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract)
    where Extract.Carrier == Carrier {
        guard let header = extractor.extract(key: "traceparent", from: carrier) else { return }
        context.llmgineTrace = TraceContext(traceparent: header)
    }

    /// Writes `traceparent`.
    public func inject<Carrier, Inject: Injector>(_ context: ServiceContext, into carrier: inout Carrier, using injector: Inject)
    where Inject.Carrier == Carrier {
        guard let trace = context.llmgineTrace, trace.isValid else { return }
        injector.inject(trace.traceparent, forKey: "traceparent", into: &carrier)
    }
}

extension ObservabilityManager {
    /// The tracer for swift-distributed-tracing: bind it with `withTracer`, or bootstrap it if there is one node in the process.
    public var tracing: LLMgineTracer { LLMgineTracer(tracer) }
}
