import LLMgineCore
import LLMgineObservability
import ServiceContextModule

/// A span of the bus that has begun. Only what is recorded has one.
struct OpenSpan: Sendable {
    private let kind: FinishedSpan.Kind
    private let subject: String
    let context: TraceContext
    private let parent: UInt64
    private let parentIsRemote: Bool
    private let start: UInt64

    init(_ kind: FinishedSpan.Kind, _ subject: String, context: TraceContext, parent: TraceContext?, parentIsRemote: Bool, start: UInt64) {
        self.kind = kind
        self.subject = subject
        self.context = context
        self.parent = parent?.span ?? 0
        self.parentIsRemote = parentIsRemote
        self.start = start
    }

    init(_ kind: FinishedSpan.Kind, _ topic: Topic, context: TraceContext, parent: TraceContext?, parentIsRemote: Bool, start: UInt64) {
        self.init(kind, topic.text, context: context, parent: parent, parentIsRemote: parentIsRemote, start: start)
    }

    /// Runs something as the work of this span: what it publishes, requests and traces belongs below it.
    func bound<Result>(_ work: () async throws -> Result) async rethrows -> Result {
        var current = ServiceContext.current ?? .topLevel
        current.llmgineTrace = context
        return try await ServiceContext.withValue(current, operation: work)
    }

    /// Leaves the span for the exporter.
    func end(on tracer: NodeTracer, error: (any Error)? = nil, notes: [SpanNote] = []) {
        var notes = notes
        var status = FinishedSpan.Status.unset
        if let error {
            let code = (error as? LLMgineError)?.code.rawValue ?? String(describing: type(of: error))
            notes.append(.errorType(code))
            status = .error((error as? LLMgineError)?.detail ?? code)
        }
        tracer.record(
            FinishedSpan(
                kind, subject, context: context, parent: parent, parentIsRemote: parentIsRemote, start: start, end: tracer.clock.now(),
                status: status,
                notes: notes))
    }
}

extension NodeTracer {
    /// Begins a span below the given one, or below the span of the task. Called only while tracing is on.
    ///
    /// What travels on is the context of the new span, or that of a parent that is not recorded. A trace that would begin here and is not recorded
    /// leaves nothing behind: its events then cost what they cost without tracing.
    @inline(never)
    func begin(_ kind: FinishedSpan.Kind, _ topic: Topic, below explicit: TraceContext?) -> (carried: TraceContext?, span: OpenSpan?) {
        begin(kind, topic.text, topic: topic, below: explicit)
    }

    /// The same for a span that is not called after its topic.
    func begin(_ kind: FinishedSpan.Kind, _ subject: String, topic: Topic, below explicit: TraceContext?) -> (
        carried: TraceContext?, span: OpenSpan?
    ) {
        let parent = explicit ?? ServiceContext.current?.llmgineTrace
        guard let context = publishStarted(parent: parent, topic: topic) else { return (nil, nil) }
        guard context.isSampled else { return (parent == nil ? nil : context, nil) }
        return (context, OpenSpan(kind, subject, context: context, parent: parent, parentIsRemote: false, start: clock.now()))
    }
}
