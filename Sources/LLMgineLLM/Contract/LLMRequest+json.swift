public import LLMgineCore

extension LLMRequest: LLMWireValue, JSONRepresentable, Command {
    /// Reads a request. Only `model` and `messages` must be there. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(model: try json.required("model"), messages: try json.required("messages"))
        id = try json.optional("id")
        tools = try json.optional("tools") ?? []
        toolChoice = try json.optional("toolChoice")
        parallelToolCalls = try json.optional("parallelToolCalls")
        responseFormat = try json.optional("responseFormat") ?? .text
        maxOutputTokens = try json.optional("maxOutputTokens")
        temperature = try json.optional("temperature")
        topP = try json.optional("topP")
        topK = try json.optional("topK")
        stop = try json.optional("stop") ?? []
        seed = try json.optional("seed")
        presencePenalty = try json.optional("presencePenalty")
        frequencyPenalty = try json.optional("frequencyPenalty")
        reasoning = try json.optional("reasoning")
        metadata = try json.optional("metadata") ?? [:]
        extensions = try json.optional("extensions") ?? [:]
        execution = try json.optional("execution") ?? LLMExecution()
    }

    /// An object with the names of the properties.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("id", id)
        object.set("model", model)
        object.set("messages", messages)
        object.set("tools", unlessEmpty: tools)
        object.set("toolChoice", toolChoice)
        object.set("parallelToolCalls", parallelToolCalls)
        object.set("responseFormat", responseFormat == .text ? nil : responseFormat)
        object.set("maxOutputTokens", maxOutputTokens)
        object.set("temperature", temperature)
        object.set("topP", topP)
        object.set("topK", topK)
        object.set("stop", unlessEmpty: stop)
        object.set("seed", seed)
        object.set("presencePenalty", presencePenalty)
        object.set("frequencyPenalty", frequencyPenalty)
        object.set("reasoning", reasoning)
        object.set("metadata", unlessEmpty: metadata)
        object.set("extensions", unlessEmpty: extensions)
        object.set("execution", execution == LLMExecution() ? nil : execution)
        return .object(object)
    }
}
