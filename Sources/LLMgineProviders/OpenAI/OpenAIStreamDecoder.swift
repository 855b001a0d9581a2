package import LLMgineLLM

/// Reads the chunks of a streamed chat completion, also those of servers that only imitate OpenAI.
///
/// What they do differently is listed in the project's notes on the wire format and tested one by one: calls that share an index, missing ids, a `stop`
/// where tools were called, usage with or without choices, errors under HTTP 200, an end without `[DONE]`.
package struct OpenAIStreamDecoder {
    /// The most tool calls of one answer.
    package static let mostCalls = 128

    private let start: LLMStart
    private let inputBytes: Int
    private let redact: @Sendable (String) -> String
    private var hasStarted = false
    private var outputBytes = 0
    private var calls = OpenAIToolCalls()
    private var finishReason: String?
    private var isRefusal = false
    private var usage: LLMUsage?

    /// Whether the answer is complete or failed: nothing more is to be read.
    package private(set) var isDone = false

    /// - Parameters:
    ///   - start: what is known before the first chunk, which may name the model and the answer.
    ///   - inputBytes: the size of the request, from which usage is estimated if the server does not tell.
    ///   - redact: takes secrets out of the server's texts.
    package init(start: LLMStart, inputBytes: Int, redact: @escaping @Sendable (String) -> String = { $0 }) {
        self.start = start
        self.inputBytes = inputBytes
        self.redact = redact
    }

    /// Takes the data of one event. A failure is the last of the returned kinds.
    package mutating func decode(_ data: String) -> [LLMStreamEvent.Kind] {
        guard !isDone else { return [] }
        let text = data.drop(while: \.isWhitespace)
        if text.isEmpty { return [] }
        if text.hasPrefix("[DONE]") { return finish() }
        guard let chunk = try? JSONValue(parsing: data) else {
            return fail(LLMError(.protocolViolation, "a chunk of the answer is not JSON", retryable: true, provider: start.provider))
        }
        if let error = OpenAIErrorClassifier.inBand(chunk, redact: redact) { return fail(error) }
        return take(chunk)
    }

    /// The body ended: that is an end if the server said why it stopped, and a cut otherwise.
    package mutating func endOfBody() -> [LLMStreamEvent.Kind] {
        guard !isDone else { return [] }
        guard finishReason != nil else {
            return fail(LLMError(.truncatedStream, "the server's answer stopped without its end", provider: start.provider))
        }
        return finish()
    }

    private mutating func fail(_ error: LLMError) -> [LLMStreamEvent.Kind] {
        isDone = true
        var error = error
        error.provider = start.provider
        return [.error(error)]
    }

    private mutating func take(_ chunk: JSONValue) -> [LLMStreamEvent.Kind] {
        var kinds = begin(id: chunk["id"]?.string, model: chunk["model"]?.string)
        if let usage = chunk["usage"]?.object { self.usage = LLMUsage(openAI: .object(usage)) }
        // Of several answers to one question (`n` above 1, through an extension) the first is ours.
        for choice in chunk["choices"]?.array ?? [] where choice["index"]?.int ?? 0 == 0 {
            if let delta = choice["delta"] ?? choice["message"] {
                do throws(LLMError) {
                    kinds += try take(delta: delta)
                } catch {
                    return kinds + fail(error)
                }
            }
            if let reason = choice["finish_reason"]?.string, !reason.isEmpty { finishReason = reason }
        }
        return kinds
    }

    private mutating func begin(id: String?, model: String?) -> [LLMStreamEvent.Kind] {
        guard !hasStarted else { return [] }
        hasStarted = true
        var start = start
        start.id = id ?? start.id
        if let model, !model.isEmpty { start.model = model }
        return [.start(start)]
    }

    private mutating func take(delta: JSONValue) throws(LLMError) -> [LLMStreamEvent.Kind] {
        var kinds: [LLMStreamEvent.Kind] = []
        if let thought = delta["reasoning_content"]?.string ?? delta["reasoning"]?.string, !thought.isEmpty {
            kinds.append(.reasoningDelta(thought))
        }
        if let text = Self.text(of: delta["content"]), !text.isEmpty { kinds.append(.textDelta(text)) }
        if let refusal = delta["refusal"]?.string, !refusal.isEmpty {
            isRefusal = true
            kinds.append(.textDelta(refusal))
        }
        for call in delta["tool_calls"]?.array ?? [] { kinds += try calls.take(call) }
        if let legacy = delta["function_call"], legacy.object != nil { kinds += try calls.take(["index": 0, "function": legacy]) }
        outputBytes += kinds.reduce(0) { $0 + $1.deliveredBytes }
        return kinds
    }

    /// A string, or with some servers an array of parts.
    private static func text(of content: JSONValue?) -> String? {
        if let parts = content?.array { return parts.compactMap { $0["text"]?.string }.joined() }
        return content?.string
    }

    private mutating func finish() -> [LLMStreamEvent.Kind] {
        isDone = true
        var kinds = begin(id: nil, model: nil)
        do throws(LLMError) {
            kinds += try calls.end()
        } catch {
            return kinds + fail(error)
        }
        let usage = usage ?? .estimate(inputBytes: inputBytes, outputBytes: outputBytes)
        return kinds + [.finish(LLMFinishReason(unifiedReason, raw: finishReason ?? ""), usage)]
    }

    private var unifiedReason: LLMFinishReason.Unified {
        switch finishReason {
        case "length": .length
        case "content_filter": .contentFilter
        case _ where !calls.isEmpty: .toolCalls  // some servers say `stop` all the same
        case "tool_calls", "function_call": .toolCalls
        case _ where isRefusal: .contentFilter
        case "stop", nil: .stop
        case _?: .other
        }
    }
}

extension LLMUsage {
    /// `prompt_tokens` includes cached tokens, and `completion_tokens` includes reasoning.
    fileprivate init(openAI usage: JSONValue) {
        let total = usage["prompt_tokens"]?.int
        let cached = usage["prompt_tokens_details"]?["cached_tokens"]?.int
        self.init(
            input: Input(
                total: total,
                noCache: total.flatMap { total in cached.map { max(0, total.subtractingReportingOverflow($0).partialValue) } },
                cacheRead: cached,
                cacheWrite: usage["prompt_tokens_details"]?["cache_write_tokens"]?.int),
            output: Output(total: usage["completion_tokens"]?.int, reasoning: usage["completion_tokens_details"]?["reasoning_tokens"]?.int),
            raw: usage)
    }
}
