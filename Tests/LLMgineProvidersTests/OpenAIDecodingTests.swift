import LLMgineLLM
import LLMgineProviders
import NIOCore
import Testing

/// Decodes chunks by value: what comes out, joined, without a server.
private func decoded(_ chunks: [String], done: Bool = true) -> [LLMStreamEvent.Kind] {
    var decoder = OpenAIStreamDecoder(start: LLMStart(model: "m", provider: "openai"), inputBytes: 40)
    let kinds = (chunks + (done ? ["[DONE]"] : [])).flatMap { decoder.decode($0) }
    return (kinds + decoder.endOfBody()).coalesced()
}

private func response(_ chunks: [String], done: Bool = true) throws -> LLMResponse {
    var assembler = ResponseAssembler()
    for (sequence, kind) in decoded(chunks, done: done).enumerated() {
        try assembler.append(LLMStreamEvent(sequence: sequence, kind: kind))
    }
    return try assembler.response()
}

@Suite struct `A streamed chat completion` {
    @Test func `is read by the book`() throws {
        let usage = LLMUsage(
            input: .init(total: 9, noCache: 5, cacheRead: 4), output: .init(total: 7, reasoning: 0),
            raw: try JSONValue(parsing: Chunk.usage)["usage"])
        #expect(
            decoded(Chunk.hello) == [
                .start(LLMStart(id: "chatcmpl-9", model: "m-2026", provider: "openai")), .textDelta("Hello ü😀"),
                .finish(LLMFinishReason(.stop, raw: "stop"), usage),
            ])
    }

    @Test func `is read the same, whole and split at every byte`() throws {
        let text = (Chunk.parallelCalls + ["[DONE]"]).map { ": ping\r\ndata: \($0)\r\n\r\n" }.joined()
        let bytes = Array(text.utf8)
        let expected = decoded(Chunk.parallelCalls)
        for split in bytes.indices {
            var parser = SSEParser()
            var decoder = OpenAIStreamDecoder(start: LLMStart(model: "m", provider: "openai"), inputBytes: 40)
            var kinds: [LLMStreamEvent.Kind] = []
            for piece in [bytes[..<split], bytes[split...]] {
                for event in try parser.feed(ByteBuffer(bytes: piece)) { kinds += decoder.decode(event.data) }
            }
            #expect(kinds.coalesced() == expected, "split at \(split)")
        }
    }

    @Test func `has parallel tool calls, by the book`() throws {
        let answer = try response(Chunk.parallelCalls)
        #expect(
            answer.toolCalls == [
                LLMToolCall(id: "call_1", name: "weather", arguments: "{\"city\":\"Oslo\"}"),
                LLMToolCall(id: "call_2", name: "weather", arguments: "{\"city\":\"Rome\"}"),
            ])
        #expect(answer.finishReason == LLMFinishReason(.toolCalls, raw: "tool_calls"))
    }

    @Test(arguments: [
        // Ollama and others: all calls have the index 0.
        [
            Chunk.call(index: 0, id: "a", name: "x", arguments: "{}"), Chunk.call(index: 0, id: "b", name: "y", arguments: "{\"z\":1}"),
            Chunk.finish("tool_calls"),
        ],
        // Fragments of the second go to the second, with type and empty content repeated on each.
        [
            Chunk.call(index: 0, id: "a", name: "x", arguments: "{}", extra: "\"content\":\"\","),
            Chunk.call(index: 0, id: "b", name: "y", arguments: "{\"z\"", extra: "\"content\":\"\","),
            Chunk.call(index: 0, arguments: ":1}", extra: "\"content\":\"\","), Chunk.finish("stop"),
        ],
        // No index at all; id and name repeated.
        [
            Chunk.call(id: "a", name: "x", arguments: "{}"), Chunk.call(id: "b", name: "y", arguments: "{\"z\""),
            Chunk.call(id: "b", name: "y", arguments: ":1}"), Chunk.finish("stop"),
        ],
        // Interleaved, arguments before the name, empty arguments.
        [
            Chunk.call(index: 1, id: "b0", arguments: ""), Chunk.call(index: 0, id: "a", name: "x"),
            Chunk.call(index: 1, arguments: "{\"z\""),
            Chunk.call(index: 1, name: "y", arguments: ":1}"), Chunk.finish("tool_calls"),
        ],
        // Without ids, told apart by their names; ids are made.
        [Chunk.call(index: 0, name: "x", arguments: ""), Chunk.call(index: 0, name: "y", arguments: "{\"z\":1}"), Chunk.finish("stop")],
        // Arguments as an object.
        [
            Chunk.delta(
                #"{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":{}}},{"index":1,"id":"b","function":{"name":"y","arguments":{"z":1}}}]}"#
            ),
            Chunk.finish("stop"),
        ],
    ])
    func `has parallel tool calls, as servers really send them`(chunks: [String]) throws {
        let answer = try response(chunks)
        #expect(answer.finishReason.unified == .toolCalls)
        #expect(answer.toolCalls.map(\.name).sorted() == ["x", "y"])
        #expect(Set(answer.toolCalls.map(\.id)).count == 2)
        for call in answer.toolCalls { #expect(try call.parsedArguments() == (call.name == "x" ? [:] : ["z": 1])) }
    }

    @Test(arguments: [
        // Usage with a choice instead of none; the finish reason missing instead of null.
        #"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
        // Extra keys, no id, created as a float.
        #"{"created":1.5,"timings":{"x":1},"provider":"p","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"cost":0.1}}"#,
    ])
    func `tolerates odd usage`(chunk: String) throws {
        let answer = try response([Chunk.text("a"), Chunk.finish("stop"), chunk])
        #expect(answer.usage.input.total == 3)
        #expect(answer.usage.output.total == 2)
        #expect(!answer.usage.estimated)
    }

    @Test func `estimates usage when the server keeps it to itself`() throws {
        let usage = try response([Chunk.text("12345"), Chunk.finish("stop")]).usage
        #expect(usage == LLMUsage(input: .init(total: 10), output: .init(total: 2), estimated: true))
    }

    @Test func `may lack ids, names and objects, and may say nothing`() throws {
        #expect(
            try response([#"{"choices":[{"delta":{"content":"a"}}]}"#, #"{"choices":[{"delta":{},"finish_reason":"length"}]}"#])
                .finishReason.unified == .length)
        #expect(try response([Chunk.finish("stop")]).text == "")
        #expect(try response([]).finishReason == LLMFinishReason(.stop, raw: ""))
        #expect(
            try response([#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"text":"b"}]},"finish_reason":"stop"}]}"#]).text
                == "ab")
    }

    @Test func `carries reasoning under either name, and refusals`() throws {
        let answer = try response([
            Chunk.delta(#"{"reasoning_content":"Hm"}"#), Chunk.delta(#"{"reasoning":"m"}"#), Chunk.delta(#"{"refusal":"No."}"#),
            Chunk.finish("stop"),
        ])
        #expect(answer.reasoning?.text == "Hmm")
        #expect(answer.text == "No.")
        #expect(answer.finishReason == LLMFinishReason(.contentFilter, raw: "stop"))
    }

    @Test func `may end without the marker once it said why it stopped`() throws {
        #expect(try response([Chunk.text("a"), Chunk.finish("stop")], done: false).text == "a")
    }

    @Test func `is truncated without marker and reason`() {
        #expect(throws: LLMError(.truncatedStream, "")) { try response([Chunk.text("a")], done: false) }
        #expect(throws: LLMError(.truncatedStream, "")) { try response([], done: false) }
    }

    @Test(arguments: [
        (#"{"error":{"message":"m","type":"server_error","param":null,"code":null}}"#, LLMError.Code.providerInternal),
        (#"{"error":{"message":"m","type":"x","code":"rate_limit_exceeded"}}"#, .rateLimited),
        (#"{"error":"model not loaded"}"#, .providerInternal),
        (#"{"error":{"message":"m","type":"unavailable_error","code":503}}"#, .overloaded),
        (#"{"error":{"message":"m","code":"429"}}"#, .rateLimited),
        (#"{"detail":"bad"}"#, .providerInternal),
        (#"{"error":{"message":"m","code":"context_length_exceeded"},"choices":[]}"#, .contextLengthExceeded),
    ])
    func `fails on an error inside the stream`(chunk: String, code: LLMError.Code) {
        #expect(throws: LLMError(code, "")) { try response([chunk]) }
        let kinds = decoded([Chunk.text("a"), chunk, Chunk.text("b")])
        #expect(kinds.count == 3)
        #expect(kinds.last == .error(LLMError(code, "")))
    }

    @Test func `goes on where an error member is empty`() throws {
        #expect(try response([#"{"error":null,"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#]).text == "a")
    }

    @Test func `fails on nonsense and never traps`() {
        #expect(decoded(["{\"choices\""]).last == .error(LLMError(.protocolViolation, "")))
        #expect(
            decoded([Chunk.call(index: 0, arguments: "x"), Chunk.finish("tool_calls")]).last == .error(LLMError(.protocolViolation, "")))
        let many = (0...OpenAIStreamDecoder.mostCalls).map { Chunk.call(index: $0, id: "c\($0)", name: "n") }
        #expect(decoded(many).last == .error(LLMError(.protocolViolation, "")))
        for odd in [
            "[]", "1", "\"x\"", "{\"choices\":{}}", "{\"choices\":[1]}", "{\"choices\":[{\"delta\":[]}]}",
            "{\"choices\":[{\"delta\":{\"tool_calls\":[1,[]]}}]}",
        ] {
            _ = decoded([odd])
        }
        _ = decoded([
            #"{"choices":[],"usage":{"prompt_tokens":-9223372036854775808,"prompt_tokens_details":{"cached_tokens":9223372036854775807}}}"#
        ])
    }
}

@Suite struct `A refused call` {
    @Test(arguments: [
        (400, #"{"error":{"message":"m","type":"invalid_request_error","code":null}}"#, LLMError.Code.invalidRequest, false),
        (400, #"{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}"#, .contextLengthExceeded, false),
        (
            400, #"{"object":"error","message":"This model's maximum context length is 4096 tokens","type":"BadRequestError","code":400}"#,
            .contextLengthExceeded, false
        ),
        (400, #"{"error":{"message":"m","code":"content_policy_violation"}}"#, .contentFiltered, false),
        (401, #"{"error":{"message":"m","type":"invalid_request_error","code":"invalid_api_key"}}"#, .authentication, false),
        (403, "", .permission, false),
        (404, #"{"error":{"message":"m","code":"model_not_found"}}"#, .modelNotFound, false),
        (404, #"{"error":"model 'x' not found"}"#, .modelNotFound, false),
        (408, "", .timeout, true), (409, "", .overloaded, true), (422, #"{"detail":[{"msg":"field required"}]}"#, .invalidRequest, false),
        (429, #"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#, .rateLimited, true), (429, "", .rateLimited, true),
        (429, #"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#, .quotaExhausted, false),
        (429, #"{"error":{"message":"m","code":"credit_balance_exhausted"}}"#, .quotaExhausted, false),
        (500, #"{"error":{"message":"m","type":"server_error"}}"#, .providerInternal, true),
        (502, "<html>Bad gateway</html>", .providerInternal, true),
        (503, #"{"error":{"message":"m","type":"service_unavailable_error","code":"server_is_overloaded"}}"#, .overloaded, true),
        (503, #"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#, .overloaded, true),
        (504, "", .timeout, true),
        (529, "", .overloaded, true), (302, "", .protocolViolation, false),
    ])
    func `is told apart by words first and status second`(status: Int, body: String, code: LLMError.Code, retryable: Bool) {
        let error = OpenAIErrorClassifier.response(status: status, body: body)
        #expect(error.code == code)
        #expect(error.retryable == retryable)
        #expect(error.httpStatus == status)
        #expect(!error.message.isEmpty && !error.message.contains("<html>"))
    }

    @Test func `takes the server's advice on trying again`() {
        let hints = RetryHints(retryAfter: .seconds(7), shouldRetry: false)
        let error = OpenAIErrorClassifier.response(status: 429, body: "", hints: hints, requestID: "req_1")
        #expect(error.retryAfter == .seconds(7))
        #expect(!error.retryable)
        #expect(error.requestID == "req_1")
    }

    @Test(
        arguments: [
            (["retry-after-ms": "1500", "retry-after": "9"], Duration.milliseconds(1500)), (["retry-after": "2"], .seconds(2)),
            (["retry-after": "0.25"], .milliseconds(250)),
            (["retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"], .seconds(90)), (["retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"], .zero),
            (["llm_provider-retry-after": "3"], .seconds(3)), (["retry-after": "soon"], nil), (["retry-after": "-1"], nil),
            (["retry-after": "nan"], nil),
            (["retry-after": "1e300"], .seconds(31_536_000)), (["retry-after-ms": "x", "retry-after": "4"], .seconds(4)), ([:], nil),
        ] as [([String: String], Duration?)])
    func `reads every form of waiting time`(headers: [String: String], expected: Duration?) {
        #expect(RetryHints(now: 10) { headers[$0] }.retryAfter == expected)
    }

    @Test(
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0), ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sunday, 06-Nov-94 08:49:37 GMT", nil), ("Sun, 99 Nov 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 1994 08:49 GMT", nil), ("", nil),
        ] as [(String, Double?)])
    func `reads dates`(text: String, seconds: Double?) {
        #expect(HTTPDate.seconds(text) == seconds)
    }

    @Test func `keeps a key that the server repeats to itself, and cuts long words short`() {
        let body = #"{"error":{"message":"bad key sk-secret-1 "# + String(repeating: "x", count: 1000) + #""}}"#
        let error = OpenAIErrorClassifier.response(status: 401, body: body) { text in
            text.split(separator: "sk-secret-1").joined(separator: "***")
        }
        #expect(error.message.hasPrefix("bad key *** x"))
        #expect(error.message.count == OpenAIErrorClassifier.longestMessage)
    }
}
