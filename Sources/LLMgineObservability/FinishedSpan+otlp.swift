import LLMgineCore
package import LLMgineOTLP

/// Puts spans into the words of OpenTelemetry's messaging and GenAI conventions, straight into the request: nothing is built in between.
extension FinishedSpan {
    /// OpenTelemetry's limit on attributes of one span.
    private static let maximumNotes = 128

    /// Appends the fields of an OTLP `Span`.
    package func encode(into writer: inout ProtobufWriter) {
        writer.id(1, context.traceHigh, context.traceLow)
        writer.id(2, context.span)
        writer.id(4, parent)
        writer.string(5, name)
        writer.varint(6, UInt64(spanKind.rawValue))
        writer.fixed64(7, start)
        writer.fixed64(8, max(start, end))
        encodeConvention(into: &writer)
        for note in notes.prefix(Self.maximumNotes) { note.encode(into: &writer) }
        let droppedNotes = UInt32(clamping: max(0, notes.count - Self.maximumNotes))
        if let link { otlpLink(to: link).encode(13, into: &writer) }
        if let extras {
            for attribute in extras.attributes { attribute.encode(9, into: &writer) }
            for event in extras.events { event.encode(11, into: &writer) }
            for link in extras.links { link.encode(13, into: &writer) }
            writer.varint(12, UInt64(extras.droppedEvents))
            writer.varint(14, UInt64(extras.droppedLinks))
        }
        writer.varint(10, UInt64(droppedNotes &+ (extras?.droppedAttributes ?? 0)))
        switch status {
        case .unset: break
        case .ok: OTLP.Status.ok.encode(15, into: &writer)
        case .error(let description): OTLP.Status.error(description).encode(15, into: &writer)
        }
        writer.fixed32(16, flags)
    }

    /// Adds the span to a request that is open.
    package func encode(asRecordIn writer: inout ProtobufWriter) {
        let slot = writer.open(2)
        encode(into: &writer)
        writer.close(slot)
    }

    /// `{operation} {destination}`, with the filter in place of the topic if there is one.
    package var name: String {
        guard let operation = kind.operation else { return subject }
        for note in notes {
            if case .template(let filter) = note { return operation + " " + filter.text }
        }
        return subject.isEmpty ? operation : operation + " " + subject
    }

    private var spanKind: OTLP.Span.Kind {
        switch kind {
        case .publish: .producer
        case .process: .consumer
        case .request, .llmChat: .client
        case .respond: .server
        case .custom: extras?.kind ?? .internal
        }
    }

    private var flags: UInt32 {
        UInt32(context.flags) | SpanFlags.remotenessKnown | (parentIsRemote ? SpanFlags.isRemote : 0)
    }

    private func otlpLink(to context: TraceContext) -> OTLP.Link {
        OTLP.Link(
            traceHigh: context.traceHigh, traceLow: context.traceLow, span: context.span,
            flags: UInt32(context.flags) | SpanFlags.remotenessKnown | (parentIsRemote ? SpanFlags.isRemote : 0))
    }

    private func encodeConvention(into writer: inout ProtobufWriter) {
        switch kind {
        case .publish, .process, .request, .respond:
            Convention.system.encode(into: &writer)
            kind.operationName?.encode(into: &writer)
            kind.operationType?.encode(into: &writer)
            if !subject.isEmpty { Convention.destination.encode(9, subject, into: &writer) }
        case .llmChat:
            Convention.chat.encode(into: &writer)
            if !subject.isEmpty { Convention.requestModel.encode(9, subject, into: &writer) }
        case .custom: break
        }
    }
}

/// Attributes that are known beforehand.
private enum Convention {
    static let system = OTLP.Constant(9, "messaging.system", "llmgine")
    static let destination = OTLP.Key("messaging.destination.name")
    static let chat = OTLP.Constant(9, "gen_ai.operation.name", "chat")
    static let requestModel = OTLP.Key("gen_ai.request.model")

    static let publishName = OTLP.Constant(9, "messaging.operation.name", "publish")
    static let processName = OTLP.Constant(9, "messaging.operation.name", "process")
    static let requestName = OTLP.Constant(9, "messaging.operation.name", "request")
    static let respondName = OTLP.Constant(9, "messaging.operation.name", "respond")
    static let sendType = OTLP.Constant(9, "messaging.operation.type", "send")
    static let processType = OTLP.Constant(9, "messaging.operation.type", "process")
}

extension FinishedSpan.Kind {
    /// The verb in the span's name.
    fileprivate var operation: String? {
        switch self {
        case .publish: "publish"
        case .process: "process"
        case .request: "request"
        case .respond: "respond"
        case .llmChat: "chat"
        case .custom: nil
        }
    }

    fileprivate var operationName: OTLP.Constant? {
        switch self {
        case .publish: Convention.publishName
        case .process: Convention.processName
        case .request: Convention.requestName
        case .respond: Convention.respondName
        case .llmChat, .custom: nil
        }
    }

    fileprivate var operationType: OTLP.Constant? {
        switch self {
        case .publish, .request: Convention.sendType
        case .process, .respond: Convention.processType
        case .llmChat, .custom: nil
        }
    }
}

extension SpanNote {
    /// Appends the note as an attribute of the span that is open.
    func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .messageID(let id): Key.messageID.encode(9, id.spanText, into: &writer)
        case .session(let session): if session != .bus { Key.session.encode(9, session.name, into: &writer) }
        case .priority(let priority): Key.priority.encode(9, priority.spanText, into: &writer)
        case .eventType(let name): Key.eventType.encode(9, name, into: &writer)
        case .template(let filter): Key.template.encode(9, filter.text, into: &writer)
        case .subscription(let name): Key.subscription.encode(9, name, into: &writer)
        case .group(let name): Key.group.encode(9, name, into: &writer)
        case .attempt(let number): Key.attempt.encode(9, .int(Int64(number)), into: &writer)
        case .batch(let count): Key.batch.encode(9, .int(Int64(count)), into: &writer)
        case .bodySize(let bytes): Key.bodySize.encode(9, .int(Int64(bytes)), into: &writer)
        case .peer(let node): Key.peer.encode(9, node.name, into: &writer)
        case .provider(let name): Key.provider.encode(9, name, into: &writer)
        case .responseModel(let name): Key.responseModel.encode(9, name, into: &writer)
        case .responseID(let id): Key.responseID.encode(9, id, into: &writer)
        case .inputTokens(let count): Key.inputTokens.encode(9, .int(Int64(count)), into: &writer)
        case .outputTokens(let count): Key.outputTokens.encode(9, .int(Int64(count)), into: &writer)
        case .maximumTokens(let count): Key.maximumTokens.encode(9, .int(Int64(count)), into: &writer)
        case .temperature(let value): Key.temperature.encode(9, .double(value), into: &writer)
        case .finishReason(let reason): Key.finishReasons.encode(9, .array([.string(reason)]), into: &writer)
        case .streamed(let flag): Key.streamed.encode(9, .bool(flag), into: &writer)
        case .timeToFirstChunk(let duration): Key.timeToFirstChunk.encode(9, .double(duration / .seconds(1)), into: &writer)
        case .worker(let node): Key.worker.encode(9, node.name, into: &writer)
        case .errorType(let code): Key.errorType.encode(9, code, into: &writer)
        case .other(let key, let value): OTLP.Attribute(key, value).encode(9, into: &writer)
        }
    }

    private enum Key {
        static let messageID = OTLP.Key("messaging.message.id")
        static let session = OTLP.Key("messaging.message.conversation_id")
        static let priority = OTLP.Key("messaging.llmgine.priority")
        static let eventType = OTLP.Key("messaging.llmgine.event_type")
        static let template = OTLP.Key("messaging.destination.template")
        static let subscription = OTLP.Key("messaging.destination.subscription.name")
        static let group = OTLP.Key("messaging.consumer.group.name")
        static let attempt = OTLP.Key("messaging.llmgine.delivery.attempt")
        static let batch = OTLP.Key("messaging.batch.message_count")
        static let bodySize = OTLP.Key("messaging.message.body.size")
        static let peer = OTLP.Key("llmgine.peer.node")
        static let provider = OTLP.Key("gen_ai.provider.name")
        static let responseModel = OTLP.Key("gen_ai.response.model")
        static let responseID = OTLP.Key("gen_ai.response.id")
        static let inputTokens = OTLP.Key("gen_ai.usage.input_tokens")
        static let outputTokens = OTLP.Key("gen_ai.usage.output_tokens")
        static let maximumTokens = OTLP.Key("gen_ai.request.max_tokens")
        static let temperature = OTLP.Key("gen_ai.request.temperature")
        static let finishReasons = OTLP.Key("gen_ai.response.finish_reasons")
        static let streamed = OTLP.Key("gen_ai.request.stream")
        static let timeToFirstChunk = OTLP.Key("gen_ai.response.time_to_first_chunk")
        static let worker = OTLP.Key("llmgine.worker.node")
        static let errorType = OTLP.Key("error.type")
    }
}

// Joining texts costs a third of interpolating them, and interpolating an enum asks the runtime for its name: together 2 us of a span's 3.

extension MessageID {
    /// As `description`.
    fileprivate var spanText: String { node.name + "/" + incarnation.description + "/" + String(sequence) }
}

extension Priority {
    fileprivate var spanText: String {
        switch self {
        case .urgent: "urgent"
        case .high: "high"
        case .normal: "normal"
        case .low: "low"
        }
    }
}
