package import LLMgineLLM

/// Writes a request as the body of `POST /v1/chat/completions`.
///
/// What cannot be said there is left out and comes back as a warning. `extensions[<provider>]` is merged last and wins, so whatever a server offers can be
/// reached.
package struct OpenAIRequestEncoder {
    /// The provider's name: the key of its extensions.
    let provider: String
    /// The model as the server calls it.
    let model: String
    let dialect: OpenAIDialect

    package private(set) var warnings: [LLMWarning] = []

    package init(provider: String, model: String, dialect: OpenAIDialect) {
        self.provider = provider
        self.model = model
        self.dialect = dialect
    }

    /// The body. Fills ``warnings``.
    package mutating func body(of request: LLMRequest) -> JSONValue {
        var body: JSONObject = ["model": .string(model), "messages": .array(messages(request.messages))]
        body["stream"] = true
        body["stream_options"] = ["include_usage": true]
        addSampling(request, to: &body)
        addTools(request, to: &body)
        body["response_format"] = responseFormat(request.responseFormat)
        switch request.reasoning {
        case .effort(let effort): body.set("reasoning_effort", effort)
        case .budget: warn("reasoning", "a budget of tokens cannot be given to this server; use an effort")
        case nil: break
        }
        body.set("metadata", unlessEmpty: request.metadata)
        if case .object(let members)? = request.extensions[provider] { body.merge(members) }
        return .object(body)
    }

    private mutating func warn(_ setting: String, _ detail: String) {
        let warning = LLMWarning(setting: setting, detail: detail)
        if !warnings.contains(warning) { warnings.append(warning) }
    }

    private mutating func addSampling(_ request: LLMRequest, to body: inout JSONObject) {
        body.set(dialect == .openAI ? "max_completion_tokens" : "max_tokens", request.maxOutputTokens)
        body.set("temperature", request.temperature)
        body.set("top_p", request.topP)
        if dialect == .compatible {
            body.set("top_k", request.topK)
        } else if request.topK != nil {
            warn("topK", "this server has no such setting")
        }
        body.set("stop", unlessEmpty: request.stop)
        body.set("seed", request.seed)
        body.set("presence_penalty", request.presencePenalty)
        body.set("frequency_penalty", request.frequencyPenalty)
    }

    // MARK: Tools

    private func addTools(_ request: LLMRequest, to body: inout JSONObject) {
        guard !request.tools.isEmpty else { return }  // servers refuse a choice among nothing
        body["tools"] = .array(request.tools.map(tool))
        body["tool_choice"] = request.toolChoice.map(toolChoice)
        body.set("parallel_tool_calls", request.parallelToolCalls)
    }

    private func tool(_ tool: LLMTool) -> JSONValue {
        var function: JSONObject = ["name": .string(tool.name), "description": .string(tool.description), "parameters": tool.inputSchema]
        function.set("strict", tool.strict)
        return ["type": "function", "function": .object(function)]
    }

    private func toolChoice(_ choice: LLMToolChoice) -> JSONValue {
        switch choice {
        case .auto: "auto"
        case .none: "none"
        case .required: "required"
        case .named(let name): Self.function(name)
        case .allowed(let names, let required):
            [
                "type": "allowed_tools",
                "allowed_tools": ["mode": required ? "required" : "auto", "tools": .array(names.map(Self.function))],
            ]
        }
    }

    private static func function(_ name: String) -> JSONValue { ["type": "function", "function": ["name": .string(name)]] }

    private func responseFormat(_ format: LLMResponseFormat) -> JSONValue? {
        switch format {
        case .text: return nil
        case .json: return ["type": "json_object"]
        case .schema(let name, let schema, let strict):
            var object: JSONObject = ["name": .string(name), "schema": schema]
            object.set("strict", strict)
            return ["type": "json_schema", "json_schema": .object(object)]
        }
    }

    // MARK: Messages

    private mutating func messages(_ messages: [LLMMessage]) -> [JSONValue] {
        var encoded: [JSONValue] = []
        for message in messages {
            // "One tool message per call id, directly after the assistant message": results are turns of their own, whatever turn holds them.
            for case .toolResult(let result) in message.parts { encoded.append(toolResult(result)) }
            if let turn = turn(message) { encoded.append(turn) }
        }
        return encoded
    }

    private mutating func toolResult(_ result: LLMToolResult) -> JSONValue {
        var content: [JSONValue] = []
        for part in result.parts {
            if let piece = contentPart(part) { content.append(piece) }
        }
        return ["role": "tool", "tool_call_id": .string(result.callID), "content": simplified(content)]
    }

    /// Nil for a message of which nothing is left to say.
    private mutating func turn(_ message: LLMMessage) -> JSONValue? {
        var content: [JSONValue] = []
        for part in message.parts {
            if let piece = contentPart(part) { content.append(piece) }
        }
        let calls = message.toolCalls
        guard !content.isEmpty || !calls.isEmpty else { return nil }
        var turn: JSONObject = ["role": .string(message.role == .tool ? "user" : message.role.rawValue)]
        turn["content"] = content.isEmpty ? .null : simplified(content)
        if !calls.isEmpty { turn["tool_calls"] = .array(calls.map(toolCall)) }
        return .object(turn)
    }

    private func toolCall(_ call: LLMToolCall) -> JSONValue {
        let arguments = call.arguments.isEmpty ? "{}" : call.arguments
        return ["id": .string(call.id), "type": "function", "function": ["name": .string(call.name), "arguments": .string(arguments)]]
    }

    /// Text alone is written as a string, which every server reads.
    private func simplified(_ content: [JSONValue]) -> JSONValue {
        let texts = content.compactMap { $0["type"]?.string == "text" ? $0["text"]?.string : nil }
        return texts.count == content.count ? .string(texts.joined()) : .array(content)
    }

    private mutating func contentPart(_ part: LLMPart) -> JSONValue? {
        switch part {
        case .text(let text): return ["type": "text", "text": .string(text)]
        case .image(let media): return ["type": "image_url", "image_url": ["url": .string(Self.url(of: media, defaultType: "image/png"))]]
        case .audio(let media): return audio(media)
        case .file(let media): return file(media)
        case .reasoning:
            // Thoughts and their signatures belong to the endpoint that wrote them, and this one takes none back.
            warn("messages", "reasoning of earlier answers is not sent")
            return nil
        case .toolCall, .toolResult: return nil  // they have their own places
        }
    }

    private mutating func audio(_ media: LLMMedia) -> JSONValue? {
        guard case .base64(let data) = media.source else {
            warn("messages", "sound by address is not sent; give the bytes")
            return nil
        }
        let format = media.mimeType?.hasSuffix("wav") == true ? "wav" : "mp3"
        return ["type": "input_audio", "input_audio": ["data": .string(data), "format": .string(format)]]
    }

    private mutating func file(_ media: LLMMedia) -> JSONValue? {
        guard case .base64 = media.source else {
            warn("messages", "a file by address is not sent; give the bytes")
            return nil
        }
        var file: JSONObject = ["file_data": .string(Self.url(of: media, defaultType: "application/pdf"))]
        file.set("filename", media.name)
        return ["type": "file", "file": .object(file)]
    }

    private static func url(of media: LLMMedia, defaultType: String) -> String {
        switch media.source {
        case .url(let url): url
        case .base64(let data): "data:\(media.mimeType ?? defaultType);base64,\(data)"
        }
    }
}
