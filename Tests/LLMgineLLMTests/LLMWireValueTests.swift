import Foundation
import LLMgineCore
import LLMgineLLM
import NIOCore
import Testing

@Suite struct `A value of the contract` {
    static let request = LLMRequest(
        model: "embedded/pirate",
        messages: [
            .system("Be brief."),
            .user([
                .text("What is this?"), .image(LLMMedia(.url("https://example.org/a.png"))),
                .audio(LLMMedia(.base64("AAAA"), mimeType: "audio/wav")),
                .file(LLMMedia(.base64("BBBB"), mimeType: "application/pdf", name: "a.pdf")),
            ]),
            LLMMessage(
                role: .assistant,
                parts: [
                    .reasoning(LLMReasoning(text: "Hm", opaque: [LLMOpaque(origin: "a/b/c", kind: "signature", data: ["x": 1])])),
                    .text("One moment"),
                    .toolCall(LLMToolCall(id: "c1", name: "look", arguments: "{\"at\":")),
                ]), .tool("a cat", callID: "c1", name: "look", isError: true),
        ],
        tools: [
            LLMTool(name: "look", description: "Looks", inputSchema: ["type": "object", "properties": ["z": [:], "a": [:]]], strict: true)
        ],
        toolChoice: .allowed(["look"], required: true), parallelToolCalls: false,
        responseFormat: .schema(name: "s", schema: ["type": "object"], strict: nil),
        maxOutputTokens: 100, temperature: 0, topP: 0.5, topK: 3, stop: ["END"], seed: 42, presencePenalty: -1, frequencyPenalty: 1.5,
        reasoning: .budget(tokens: 10), metadata: ["b": "2", "a": "1"], extensions: ["openai": ["user": "u", "n": 1]],
        execution: LLMExecution(timeout: .milliseconds(1500), priority: .high, idempotencyKey: "k"), id: "r1")

    static let events: [LLMStreamEvent.Kind] = [
        .start(LLMStart(id: "r", model: "m", provider: "p", worker: "w", warnings: [LLMWarning(setting: "topK", detail: "x")])),
        .usage(LLMUsage(input: .init(total: 9, noCache: 5, cacheRead: 4, cacheWrite: 0), estimated: true)), .textDelta("a\n"),
        .reasoningDelta("b"),
        .toolCallStart(index: 0, id: "c", name: "n"), .toolCallDelta(index: 0, arguments: "{}"), .toolCallEnd(index: 0),
        .opaque(LLMOpaque(origin: "o", kind: "k", data: nil)),
        .finish(LLMFinishReason(.length, raw: "max"), LLMUsage(output: .init(total: 0, reasoning: 0), raw: ["x": 1])),
        .error(
            LLMError(
                .rateLimited, "slow", retryable: false, retryAfter: .seconds(2), provider: "p", httpStatus: 429, requestID: "q",
                deliveredBytes: 3)),
    ]

    func roundTrip<Value: LLMWireValue>(_ value: Value) throws {
        var buffer = ByteBuffer()
        try value.encode(into: &buffer)
        #expect(try Value(decoding: buffer) == value)
        #expect(try Value(decoding: buffer).json == value.json)
        #expect(try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value)).json == value.json)
    }

    @Test func `survives the bus and any coder`() throws {
        try roundTrip(Self.request)
        try roundTrip(LLMRequest(model: "m", messages: [.user("hello")]))
        try roundTrip(LLMEventBatch(Self.events.enumerated().map { LLMStreamEvent(sequence: $0, kind: $1) }))
        for choice in [LLMToolChoice.auto, .none, .required, .named("x"), .allowed([], required: false)] { try roundTrip(choice) }
        for format in [LLMResponseFormat.text, .json, .schema(name: "n", schema: [:], strict: true)] { try roundTrip(format) }
        try roundTrip(LLMReasoningSetting.effort("low"))
        try roundTrip(
            LLMResponse(
                id: "i", model: "m", provider: "p", worker: "w", text: "t", reasoning: LLMReasoning(text: "r"),
                toolCalls: [LLMToolCall(id: "c", name: "n", arguments: "")], usage: LLMUsage(input: .init(total: 1)), warnings: []))
    }

    @Test func `has the JSON that other languages expect`() {
        let request = LLMRequest(model: "embedded/pirate", messages: [.user("hello")], temperature: 0)
        #expect(request.json.text == #"{"model":"embedded/pirate","messages":[{"role":"user","parts":"hello"}],"temperature":0.0}"#)
        #expect(LLMStreamEvent(sequence: 3, kind: .textDelta("a")).json.text == #"{"sequence":3,"type":"textDelta","text":"a"}"#)
    }

    @Test(arguments: [
        ("{}", "\"model\" is missing"), ("[]", "expected an object"), (#"{"model":1,"messages":[]}"#, "\"model\": expected a string"),
        (#"{"model":"m","messages":[{"role":"king","parts":[]}]}"#, "\"messages\": \"role\": expected one of the known words"),
        (#"{"model":"m","messages":[],"execution":{"timeoutMilliseconds":-1}}"#, "\"execution\": \"timeoutMilliseconds\": is negative"),
        (#"{"model":"m","messages":[],"execution":{"priority":-1}}"#, "\"execution\": \"priority\": is not a class"),
        (
            #"{"model":"m","messages":[{"role":"user","parts":[{"type":"smell"}]}]}"#,
            "\"messages\": \"parts\": a part has the unknown type \"smell\""
        ),
    ])
    func `is refused with the name of what is wrong`(text: String, detail: String) {
        let error = #expect(throws: LLMgineError.self) { try LLMRequest(decoding: ByteBuffer(string: text)) }
        #expect(error?.code == .badPayload)
        #expect(error?.detail == detail)
    }

    @Test func `ignores members and words of a newer version where that is harmless`() throws {
        let request = try LLMRequest(decoding: ByteBuffer(string: #"{"model":"m","messages":[],"novel":true,"temperature":null}"#))
        #expect(request == LLMRequest(model: "m", messages: []))
        #expect(try LLMFinishReason(json: ["unified": "tired"]).unified == .other)
        #expect(try LLMError(json: ["code": "novel", "message": "x"]).code == .protocolViolation)
    }

    @Test func `reads no arguments as an empty object`() throws {
        #expect(try LLMToolCall(id: "c", name: "n", arguments: " ").parsedArguments() == [:])
        #expect(throws: LLMgineError(.badPayload, "")) { try LLMToolCall(id: "c", name: "n", arguments: "{\"a\"").parsedArguments() }
    }

    @Test(arguments: [
        (Duration.zero, 0 as Int64), (.milliseconds(5), 5), (.microseconds(1), 1), (.seconds(-1), -1000),
        (Duration(secondsComponent: .max, attosecondsComponent: 0), .max),
    ])
    func `counts milliseconds upwards and without overflow`(duration: Duration, milliseconds: Int64) {
        #expect(duration.milliseconds == milliseconds)
    }
}

@Suite struct `A request` {
    @Test func `is refused before dispatch when the model lacks what it needs`() {
        let request = LLMRequest(
            model: "m", messages: [.user([.image(LLMMedia(.url("u")))])], tools: [LLMTool(name: "t", description: "")],
            responseFormat: .json)
        #expect(LLMCapabilities.required(by: request) == [.tools, .images, .structuredOutput])
        #expect(throws: Never.self) { try LLMCapabilities.all.check(request) }
        let error = #expect(throws: LLMError.self) { try LLMCapabilities.images.check(request) }
        #expect(error?.code == .unsupportedCapability)
        #expect(error?.message.contains("tools, structured output") == true)
    }
}
