public import LLMgineCore

/// A whole answer.
public struct LLMResponse: Sendable, Hashable {
    /// The vendor's name for the answer, empty if it gave none.
    public var id: String
    /// The model that answered, as the vendor names it.
    public var model: String
    /// The provider that ran it.
    public var provider: String
    /// The node that ran it, nil when it ran in this process without a worker.
    public var worker: String?
    /// The answer.
    public var text: String
    /// What the model thought, nil if it did not show any.
    public var reasoning: LLMReasoning?
    /// The tools to call before going on, in order.
    public var toolCalls: [LLMToolCall]
    /// Why the answer ended.
    public var finishReason: LLMFinishReason
    /// What it cost.
    public var usage: LLMUsage
    /// The settings that were not honoured.
    public var warnings: [LLMWarning]

    /// Creates an answer.
    public init(
        id: String = "", model: String, provider: String, worker: String? = nil, text: String, reasoning: LLMReasoning? = nil,
        toolCalls: [LLMToolCall] = [], finishReason: LLMFinishReason = LLMFinishReason(.stop), usage: LLMUsage = LLMUsage(),
        warnings: [LLMWarning] = []
    ) {
        self.id = id
        self.model = model
        self.provider = provider
        self.worker = worker
        self.text = text
        self.reasoning = reasoning
        self.toolCalls = toolCalls
        self.finishReason = finishReason
        self.usage = usage
        self.warnings = warnings
    }

    /// The answer as a turn of the conversation, for the next request.
    public var message: LLMMessage {
        var parts: [LLMPart] = []
        if let reasoning { parts.append(.reasoning(reasoning)) }
        if !text.isEmpty { parts.append(.text(text)) }
        return LLMMessage(role: .assistant, parts: parts + toolCalls.map(LLMPart.toolCall))
    }
}

/// A setting of the request that was not honoured.
public struct LLMWarning: Sendable, Hashable {
    /// The property of ``LLMRequest``, as `topK`.
    public var setting: String
    /// What became of it, for a person.
    public var detail: String

    /// Creates a warning.
    public init(setting: String, detail: String) {
        self.setting = setting
        self.detail = detail
    }
}

extension LLMResponse: LLMWireValue, JSONRepresentable {
    /// Reads an answer. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(
            id: try json.optional("id") ?? "", model: try json.required("model"), provider: try json.required("provider"),
            worker: try json.optional("worker"), text: try json.required("text"), reasoning: try json.optional("reasoning"),
            toolCalls: try json.optional("toolCalls") ?? [], finishReason: try json.required("finishReason"),
            usage: try json.required("usage"),
            warnings: try json.optional("warnings") ?? [])
    }

    /// An object with the names of the properties.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("id", id)
        object.set("model", model)
        object.set("provider", provider)
        object.set("worker", worker)
        object.set("text", text)
        object.set("reasoning", reasoning)
        object.set("toolCalls", unlessEmpty: toolCalls)
        object.set("finishReason", finishReason)
        object.set("usage", usage)
        object.set("warnings", unlessEmpty: warnings)
        return .object(object)
    }
}

extension LLMWarning: LLMWireValue, JSONRepresentable {
    /// Reads a warning. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(setting: try json.required("setting"), detail: try json.optional("detail") ?? "")
    }

    /// An object with `setting` and `detail`.
    public var json: JSONValue { ["setting": .string(setting), "detail": .string(detail)] }
}
