import LLMgineBus
import LLMgineCore
import LLMgineLLM
import LLMgineObservability
import ServiceContextModule

/// What both ends of a call tell about it, as far as its answer shows.
struct AnswerNotes {
    private var response: LLMStart?
    private var finish: (reason: LLMFinishReason, usage: LLMUsage)?
    /// Nanoseconds since 1970.
    private(set) var firstContent: UInt64?

    mutating func saw(_ kinds: [LLMStreamEvent.Kind], at now: @autoclosure () -> UInt64) {
        for kind in kinds {
            if case .start(let start) = kind { response = start }
            if case .finish(let reason, let usage) = kind { finish = (reason, usage) }
            if firstContent == nil, kind.isContent { firstContent = now() }
        }
    }

    var usage: LLMUsage? { finish?.usage }
    var model: String? { response?.model }

    /// The notes of a span that began at `start`.
    func notes(start: UInt64, error: LLMError?) -> [SpanNote] {
        var notes: [SpanNote] = []
        if let response {
            notes.append(.responseModel(response.model))
            if !response.id.isEmpty { notes.append(.responseID(response.id)) }
            if let worker = response.worker.flatMap({ try? NodeID($0) }) { notes.append(.worker(worker)) }
        }
        if let finish { notes.append(.finishReason(finish.reason.unified.rawValue)) }
        if let firstContent { notes.append(.timeToFirstChunk(.nanoseconds(firstContent - min(start, firstContent)))) }
        if let error { notes.append(.errorType(error.code.rawValue)) }
        return notes
    }
}

/// The caller's span of one call, `chat {model}`, over all of its attempts, with the metrics that go with it.
struct ClientSpan {
    private let observability: ObservabilityManager
    private let model: String
    private let maximumTokens: Int?
    private let temperature: Double?
    private let start: UInt64
    private var provider = ""
    private var parent: TraceContext?
    private var context: TraceContext?
    private var answer = AnswerNotes()
    private var hasBegun = false
    private var hasEnded = false

    init(_ request: LLMRequest, observability: ObservabilityManager) {
        self.observability = observability
        self.model = request.model
        self.maximumTokens = request.maxOutputTokens
        self.temperature = request.temperature
        self.start = observability.tracer.clock.now()
    }

    /// The context for the request to a worker; the same for every attempt.
    mutating func begin(provider: String) -> TraceContext? {
        guard !hasBegun else { return context }
        hasBegun = true
        self.provider = provider
        parent = ServiceContext.current?.llmgineTrace
        context = observability.tracer.started(below: parent)
        return context
    }

    mutating func saw(_ kinds: [LLMStreamEvent.Kind]) {
        answer.saw(kinds, at: observability.tracer.clock.now())
        if case .finish? = kinds.last { ended(nil) }
    }

    /// Records the span, once.
    mutating func ended(_ error: LLMError?) {
        guard hasBegun, !hasEnded else { return }
        hasEnded = true
        let end = observability.tracer.clock.now()
        count(error, end: end)
        guard let context, context.isSampled else { return }
        var notes = answer.notes(start: start, error: error)
        notes.append(.provider(provider))
        notes.append(.streamed(true))
        if let maximumTokens { notes.append(.maximumTokens(maximumTokens)) }
        if let temperature { notes.append(.temperature(temperature)) }
        if let tokens = answer.usage?.input.total { notes.append(.inputTokens(tokens)) }
        if let tokens = answer.usage?.output.total { notes.append(.outputTokens(tokens)) }
        observability.tracer.record(
            FinishedSpan(
                .llmChat, model, context: context, parent: parent?.span ?? 0, start: start, end: end, status: error.status, notes: notes))
    }

    private func count(_ error: LLMError?, end: UInt64) {
        typealias Label = MetricsRegistry.Label
        let metrics = observability.metrics
        let labels = [
            Label("gen_ai_operation_name", "chat"), Label("gen_ai_provider_name", provider), Label("gen_ai_request_model", model),
        ]
        let outcome = error.map { [Label("error_type", $0.code.rawValue)] } ?? []
        metrics.histogram(.modelDuration, labels: labels + outcome).record(nanoseconds: end - min(start, end))
        if let first = answer.firstContent {
            metrics.histogram(.modelTimeToFirstChunk, labels: labels).record(nanoseconds: first - min(start, first))
        }
        // A missing count is not a zero.
        if let tokens = answer.usage?.input.total {
            metrics.histogram(.modelTokens, labels: labels + [Label("gen_ai_token_type", "input")]).record(Double(tokens))
        }
        if let tokens = answer.usage?.output.total {
            metrics.histogram(.modelTokens, labels: labels + [Label("gen_ai_token_type", "output")]).record(Double(tokens))
        }
    }
}

/// What the worker does for one attempt, as a span inside the one that the bus records for the request. Tokens are the caller's to report, once.
struct WorkerSpan {
    /// Events sent so far: the number of the next.
    var sent = 0

    private let tracer: NodeTracer
    private let topic: Topic
    private let node: NodeID
    private let requester: NodeID
    private let parent: TraceContext?
    private let context: TraceContext?
    private let start: UInt64
    private var answer = AnswerNotes()
    private var hasEnded = false

    init(_ message: Message, _ context: RequestContext, node: NodeID, observability: ObservabilityManager) {
        tracer = observability.tracer
        topic = message.topic
        self.node = node
        requester = context.requester
        // The bus binds its own span around the handler; without tracing there, the caller's is the parent.
        let parent = ServiceContext.current?.llmgineTrace ?? context.trace
        self.parent = parent
        self.context = parent.map(observability.tracer.child(of:))
        start = tracer.clock.now()
    }

    mutating func saw(_ kinds: [LLMStreamEvent.Kind]) { answer.saw(kinds, at: tracer.clock.now()) }

    mutating func ended(_ error: LLMError?) {
        guard !hasEnded, let context, let parent, context.isSampled else { return }
        hasEnded = true
        var notes = answer.notes(start: start, error: error)
        notes.append(.peer(requester))
        tracer.record(
            FinishedSpan(
                .custom, "run \(topic.text)", context: context, parent: parent.span, parentIsRemote: false, start: start,
                end: tracer.clock.now(),
                status: error.status, notes: notes))
    }
}

extension LLMError? {
    fileprivate var status: FinishedSpan.Status { map { .error($0.code.rawValue) } ?? .ok }
}
