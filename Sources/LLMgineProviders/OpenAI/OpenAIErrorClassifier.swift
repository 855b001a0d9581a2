package import LLMgineLLM

/// Finds out what a server's error means, from its words first and its HTTP status second.
package enum OpenAIErrorClassifier {
    /// The longest text of a server that is kept, in characters.
    package static let longestMessage = 300

    /// An answer whose status is not 200.
    package static func response(
        status: Int, body: String, hints: RetryHints = RetryHints(), requestID: String? = nil, redact: (String) -> String = { $0 }
    ) -> LLMError {
        var words = Words(in: (try? JSONValue(parsing: body)) ?? .null)
        if words.message.isEmpty { words.message = "HTTP \(status)" }
        var error = error(words, status: status, redact: redact)
        error.retryAfter = hints.retryAfter
        if let shouldRetry = hints.shouldRetry { error.retryable = shouldRetry }
        error.requestID = requestID
        return error
    }

    /// An error inside a stream, which has HTTP 200; nil if the chunk is none.
    package static func inBand(_ chunk: JSONValue, redact: (String) -> String = { $0 }) -> LLMError? {
        let isError =
            switch chunk["error"] {
            case .object(let object): !object.isEmpty
            case .string(let text): !text.isEmpty
            case .null, .bool, .integer, .unsigned, .double, .array, nil: chunk["detail"] != nil && chunk["choices"] == nil
            }
        guard isError else { return nil }
        return error(Words(in: chunk), status: nil, redact: redact)
    }

    private static func error(_ words: Words, status: Int?, redact: (String) -> String) -> LLMError {
        let status = status ?? words.status
        let message = String(redact(words.message).prefix(longestMessage))
        let code = code(words.all, message: words.message.lowercased(), status: status)
        var error = LLMError(code, message, httpStatus: status)
        if status == 408 || status == 409 { error.retryable = true }
        return error
    }

    /// What a server says about an error: `{"error": {...}}`, `{"error": "..."}`, `{"detail": ...}`, or the object itself.
    private struct Words {
        var message = ""
        var all: Set<String> = []
        var status: Int?

        init(in body: JSONValue) {
            let error = body["error"] ?? body
            message = error.string ?? error["message"]?.string ?? Self.detail(body["detail"]) ?? ""
            for name in ["type", "code"] {
                if let word = error[name]?.string { all.insert(word.lowercased()) }
            }
            // llama.cpp and others give the HTTP status as the code.
            if let number = error["code"]?.int ?? error["code"]?.string.flatMap({ Int($0) }), (400...599).contains(number) {
                status = number
            }
        }

        private static func detail(_ detail: JSONValue?) -> String? {
            detail?.string ?? detail?.array?.first?["msg"]?.string
        }
    }

    private static func code(_ words: Set<String>, message: String, status: Int?) -> LLMError.Code {
        for (meaning, known) in particular where !known.isDisjoint(with: words) { return meaning }
        if words.contains(where: { $0.hasSuffix("_spend_limit_reached") || $0.hasSuffix("usage_limit_reached") }) { return .quotaExhausted }
        if status == nil || status == 400, message.contains("context length") || message.contains("context window") {
            return .contextLengthExceeded
        }
        if let status { return code(status: status) }
        for (meaning, known) in general where !known.isDisjoint(with: words) { return meaning }
        return .providerInternal
    }

    /// Words that say more than a status.
    private static let particular: [(LLMError.Code, Set<String>)] = [
        (.quotaExhausted, ["insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "billing_not_active"]),
        (.contextLengthExceeded, ["context_length_exceeded", "exceed_context_size_error"]),
        (.contentFiltered, ["content_policy_violation", "content_filter", "moderation_blocked"]),
        (.modelNotFound, ["model_not_found"]), (.authentication, ["invalid_api_key"]),
        (.rateLimited, ["rate_limit_exceeded", "slow_down"]),
        (.overloaded, ["server_is_overloaded", "overloaded_error", "engine_overloaded"]),
    ]

    /// Words that stand with many statuses, and count only where there is none.
    private static let general: [(LLMError.Code, Set<String>)] = [
        (.overloaded, ["service_unavailable_error", "unavailable_error", "overloaded"]),
        (.rateLimited, ["rate_limit_error", "requests", "tokens"]),
        (.authentication, ["authentication_error"]), (.permission, ["permission_error"]), (.modelNotFound, ["not_found_error"]),
        (.timeout, ["timeout", "timeout_error"]),
        (.invalidRequest, ["invalid_request_error", "invalid_value", "bad_request", "badrequesterror"]),
    ]

    private static func code(status: Int) -> LLMError.Code {
        switch status {
        case 401: .authentication
        case 402: .quotaExhausted
        case 403: .permission
        case 404: .modelNotFound
        case 408, 504: .timeout
        case 409: .overloaded
        case 429: .rateLimited
        case 503, 529: .overloaded
        case 400...499: .invalidRequest
        case 500...599: .providerInternal
        default: .protocolViolation
        }
    }
}
