import LLMgineLLM
import LLMgineProviders
import Testing

@Suite struct `A request to an OpenAI-compatible server` {
    private func body(_ request: LLMRequest, dialect: OpenAIDialect = .openAI) -> (JSONValue, [LLMWarning]) {
        var encoder = OpenAIRequestEncoder(provider: "openai", model: "m", dialect: dialect)
        return (encoder.body(of: request), encoder.warnings)
    }

    @Test func `says only what was asked`() {
        let (body, warnings) = body(LLMRequest(model: "m", messages: [.user("hello")]))
        #expect(
            body.text
                == #"{"model":"m","messages":[{"role":"user","content":"hello"}],"stream":true,"stream_options":{"include_usage":true}}"#)
        #expect(warnings.isEmpty)
    }

    @Test func `has the messages of a tool round in the order that servers demand`() {
        let call1 = LLMToolCall(id: "call_1", name: "weather", arguments: "{\"city\":\"Oslo\"}")
        let call2 = LLMToolCall(id: "call_2", name: "weather", arguments: "")
        let results = LLMMessage(
            role: .tool,
            parts: [
                .toolResult(LLMToolResult(callID: "call_1", parts: [.text("12"), .text("C")])),
                .toolResult(LLMToolResult(callID: "call_2", parts: [.text("24C")])),
            ])
        let (body, _) = body(
            LLMRequest(
                model: "m", messages: [.system("Be brief."), .user("Weather?"), .assistant("", toolCalls: [call1, call2]), results]))
        let expected: JSONValue = [
            ["role": "system", "content": "Be brief."], ["role": "user", "content": "Weather?"],
            [
                "role": "assistant", "content": nil,
                "tool_calls": [
                    ["id": "call_1", "type": "function", "function": ["name": "weather", "arguments": "{\"city\":\"Oslo\"}"]],
                    ["id": "call_2", "type": "function", "function": ["name": "weather", "arguments": "{}"]],
                ],
            ],
            ["role": "tool", "tool_call_id": "call_1", "content": "12C"], ["role": "tool", "tool_call_id": "call_2", "content": "24C"],
        ]
        #expect(body["messages"] == expected)
    }

    @Test func `has every setting under the server's name for it`() {
        let request = LLMRequest(
            model: "m", messages: [], tools: [LLMTool(name: "t", description: "d", inputSchema: ["type": "object"], strict: true)],
            toolChoice: .named("t"),
            parallelToolCalls: false, responseFormat: .schema(name: "s", schema: ["type": "object"], strict: true), maxOutputTokens: 5,
            temperature: 0,
            topP: 0.5, topK: 3, stop: ["END"], seed: 42, presencePenalty: -1, frequencyPenalty: 1, reasoning: .effort("low"),
            metadata: ["k": "v"])
        let (compatible, none) = body(request, dialect: .compatible)
        #expect(
            compatible == [
                "model": "m", "messages": [], "stream": true, "stream_options": ["include_usage": true], "max_tokens": 5,
                "temperature": 0.0,
                "top_p": 0.5, "top_k": 3, "stop": ["END"], "seed": 42, "presence_penalty": -1.0, "frequency_penalty": 1.0,
                "tools": [
                    ["type": "function", "function": ["name": "t", "description": "d", "parameters": ["type": "object"], "strict": true]]
                ],
                "tool_choice": ["type": "function", "function": ["name": "t"]], "parallel_tool_calls": false,
                "response_format": ["type": "json_schema", "json_schema": ["name": "s", "schema": ["type": "object"], "strict": true]],
                "reasoning_effort": "low", "metadata": ["k": "v"],
            ])
        #expect(none.isEmpty)
        let (original, warnings) = body(request)
        #expect(original["max_completion_tokens"] == 5)
        #expect(original["max_tokens"] == nil)
        #expect(original["top_k"] == nil)
        #expect(warnings.map(\.setting) == ["topK"])
    }

    static let choices: [(LLMToolChoice, JSONValue)] = [
        (.auto, "auto"), (.none, "none"), (.required, "required"), (.named("t"), ["type": "function", "function": ["name": "t"]]),
        (
            .allowed(["t"], required: true),
            ["type": "allowed_tools", "allowed_tools": ["mode": "required", "tools": [["type": "function", "function": ["name": "t"]]]]]
        ),
    ]

    @Test(arguments: choices)
    func `has every tool choice`(choice: LLMToolChoice, expected: JSONValue) {
        let tools = [LLMTool(name: "t", description: "")]
        #expect(body(LLMRequest(model: "m", messages: [], tools: tools, toolChoice: choice)).0["tool_choice"] == expected)
        #expect(body(LLMRequest(model: "m", messages: [], toolChoice: choice)).0["tool_choice"] == nil)
    }

    @Test func `carries media as the server wants it, and says what it cannot carry`() {
        let parts: [LLMPart] = [
            .text("see"), .image(LLMMedia(.url("https://e.org/a.png"))), .image(LLMMedia(.base64("QQ=="), mimeType: "image/jpeg")),
            .audio(LLMMedia(.base64("QQ=="), mimeType: "audio/wav")),
            .file(LLMMedia(.base64("QQ=="), mimeType: "application/pdf", name: "a.pdf")),
            .audio(LLMMedia(.url("u"))), .file(LLMMedia(.url("u"))), .reasoning(LLMReasoning(text: "hm")),
        ]
        let (body, warnings) = body(LLMRequest(model: "m", messages: [.user(parts)]))
        #expect(
            body["messages"]?.array?.first?["content"]
                == [
                    ["type": "text", "text": "see"], ["type": "image_url", "image_url": ["url": "https://e.org/a.png"]],
                    ["type": "image_url", "image_url": ["url": "data:image/jpeg;base64,QQ=="]],
                    ["type": "input_audio", "input_audio": ["data": "QQ==", "format": "wav"]],
                    ["type": "file", "file": ["file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"]],
                ])
        #expect(warnings.count == 3)
    }

    @Test func `merges the provider's own settings last and verbatim`() {
        let request = LLMRequest(
            model: "m", messages: [], temperature: 1,
            extensions: ["openai": ["temperature": 0.3, "logit_bias": ["50256": -100], "seed": .unsigned(.max)], "other": ["x": 1]])
        let (body, _) = body(request)
        #expect(body["temperature"] == 0.3)
        #expect(body["logit_bias"] == ["50256": -100])
        #expect(body["seed"]?.text == "18446744073709551615")
        #expect(body["x"] == nil)
    }
}
