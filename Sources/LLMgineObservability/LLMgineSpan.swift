import LLMgineCore
import LLMgineOTLP
import Synchronization
public import Tracing

/// A span that a user started through swift-distributed-tracing.
///
/// One that is not recording keeps nothing, whatever is set on it. Past 128 attributes, events or links the rest is counted and dropped.
public final class LLMgineSpan: Tracing.Span {
    private struct State {
        var name: String
        var attributes: SpanAttributes = [:]
        var status: SpanStatus?
        var events: [OTLP.Event] = []
        var droppedEvents: UInt32 = 0
        var links: [OTLP.Link] = []
        var droppedLinks: UInt32 = 0
        var isOver = false
    }

    /// What tasks below this span inherit.
    public let context: ServiceContext
    private let kind: SpanKind
    private let trace: TraceContext?
    private let parent: UInt64
    private let start: UInt64
    /// Nil if the span is not sampled.
    private let tracer: NodeTracer?
    private let state: Mutex<State>

    private static let limit = 128

    init(
        _ name: String, kind: SpanKind, context: ServiceContext, trace: TraceContext?, parent: UInt64, start: UInt64, tracer: NodeTracer?
    ) {
        self.context = context
        self.kind = kind
        self.trace = trace
        self.parent = parent
        self.start = start
        self.tracer = tracer
        state = Mutex(State(name: name))
    }

    /// Whether what is set on the span goes anywhere: it is sampled and has not ended.
    public var isRecording: Bool { tracer != nil && state.withLock { !$0.isOver } }

    /// The name of the span.
    public var operationName: String {
        get { state.withLock { $0.name } }
        set { update { $0.name = newValue } }
    }

    /// The attributes of the span.
    public var attributes: SpanAttributes {
        get { state.withLock { $0.attributes } }
        set { update { $0.attributes = newValue } }
    }

    /// Says how the work went. An error without a message, as `withSpan` sets it, leaves the message of an error that was set before.
    public func setStatus(_ status: SpanStatus) {
        update { state in
            if status.code == .error, status.message == nil, state.status?.code == .error { return }
            state.status = status
        }
    }

    /// Adds something that happened.
    public func addEvent(_ event: SpanEvent) {
        guard tracer != nil else { return }
        let record = OTLP.Event(
            time: event.nanosecondsSinceEpoch, name: event.name, attributes: event.attributes.otlp(limit: Self.limit).kept)
        update { state in
            if state.events.count < Self.limit { state.events.append(record) } else { state.droppedEvents += 1 }
        }
    }

    /// Adds an `exception` event. The status stays as it is: an error that was dealt with is not the span's.
    public func recordError<Instant: TracerInstant>(_ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant)
    {
        guard tracer != nil else { return }
        var attributes = attributes
        attributes["exception.type"] = String(reflecting: type(of: error))
        attributes["exception.message"] = String(describing: error)
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
    }

    /// Adds a reference to another span.
    public func addLink(_ link: SpanLink) {
        guard tracer != nil, let trace = link.context.llmgineTrace else { return }
        let record = OTLP.Link(
            traceHigh: trace.traceHigh, traceLow: trace.traceLow, span: trace.span,
            attributes: link.attributes.otlp(limit: Self.limit).kept,
            flags: UInt32(trace.flags))
        update { state in
            if state.links.count < Self.limit { state.links.append(record) } else { state.droppedLinks += 1 }
        }
    }

    /// Ends the span and leaves it for the exporter; ending it again does nothing.
    public func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        guard let tracer, let trace else { return }
        let over = state.withLock { state -> State? in
            if state.isOver { return nil }
            state.isOver = true
            return state
        }
        guard let over else { return }
        let attributes = over.attributes.otlp(limit: Self.limit)
        let extras = FinishedSpan.Extras(
            kind: kind.otlp, attributes: attributes.kept, droppedAttributes: attributes.dropped, events: over.events,
            droppedEvents: over.droppedEvents, links: over.links, droppedLinks: over.droppedLinks)
        let status: FinishedSpan.Status =
            switch over.status?.code {
            case .ok: .ok
            case .error: .error(over.status?.message ?? "")
            case nil: .unset
            }
        tracer.record(
            FinishedSpan(
                .custom, over.name, context: trace, parent: parent, start: start, end: instant().nanosecondsSinceEpoch, status: status,
                extras: extras))
    }

    private func update(_ body: (inout State) -> Void) {
        guard tracer != nil else { return }
        state.withLock { state in
            if !state.isOver { body(&state) }
        }
    }
}

extension SpanKind {
    fileprivate var otlp: OTLP.Span.Kind {
        switch self {
        case .server: .server
        case .client: .client
        case .producer: .producer
        case .consumer: .consumer
        case .internal: .internal
        }
    }
}

extension SpanAttributes {
    /// The attributes in OTLP's form, up to a limit, in the order of their names.
    fileprivate func otlp(limit: Int) -> (kept: [OTLP.Attribute], dropped: UInt32) {
        var all: [OTLP.Attribute] = []
        forEach { key, value in all.append(OTLP.Attribute(key, value.otlp)) }
        all.sort { $0.key < $1.key }
        return (Array(all.prefix(limit)), UInt32(clamping: Swift.max(0, all.count - limit)))
    }
}

extension SpanAttribute {
    fileprivate var otlp: OTLP.Value {
        switch self {
        case .int32(let value): .int(Int64(value))
        case .int64(let value): .int(value)
        case .double(let value): .double(value)
        case .bool(let value): .bool(value)
        case .string(let value): .string(value)
        case .int32Array(let values): .array(values.map { .int(Int64($0)) })
        case .int64Array(let values): .array(values.map { .int($0) })
        case .doubleArray(let values): .array(values.map { .double($0) })
        case .boolArray(let values): .array(values.map { .bool($0) })
        case .stringArray(let values): .array(values.map { .string($0) })
        case .stringConvertible(let value): .string(value.description)
        case .stringConvertibleArray(let values): .array(values.map { .string($0.description) })
        default: .string("\(self)")
        }
    }
}
