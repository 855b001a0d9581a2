public import LLMgineCore

/// Why a call failed, in words that fit every vendor.
///
/// Two errors are equal when their codes are: the rest is for people and for retries.
public struct LLMError: Error, Sendable {
    /// What went wrong, from a closed set that programs switch over.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// Too many calls or tokens for now. Retryable, after ``LLMError/retryAfter``.
        case rateLimited
        /// The credit or quota of the account is used up; waiting does not help.
        case quotaExhausted
        /// The vendor or worker has no room for now. Retryable.
        case overloaded
        /// The vendor gave up waiting. Retryable.
        case timeout
        /// The connection could not be made, or broke before an answer. Retryable.
        case connection
        /// The answer stopped without its end. Retryable as long as nothing was delivered.
        case truncatedStream
        /// The conversation is too long for the model.
        case contextLengthExceeded
        /// The vendor refused the content.
        case contentFiltered
        /// The request is malformed, or has a value that the model does not take.
        case invalidRequest
        /// The key is missing or wrong.
        case authentication
        /// The key may not do this.
        case permission
        /// There is no such model.
        case modelNotFound
        /// The model lacks something that the request needs; it was not sent.
        case unsupportedCapability
        /// The caller gave up.
        case cancelled
        /// The call took longer than it might.
        case deadlineExceeded
        /// The worker died or left while it ran the call. Retryable as long as nothing was delivered.
        case workerLost
        /// No worker offers the model, or none had a free slot in time. Retryable.
        case noWorkerAvailable
        /// The vendor failed. Retryable.
        case providerInternal
        /// The vendor or worker answered with something that makes no sense.
        case protocolViolation = "protocol"

        /// Whether another attempt can succeed, unless the vendor says otherwise.
        public var isRetryable: Bool {
            switch self {
            case .rateLimited, .overloaded, .timeout, .connection, .truncatedStream, .workerLost, .noWorkerAvailable, .providerInternal:
                true
            case .quotaExhausted, .contextLengthExceeded, .contentFiltered, .invalidRequest, .authentication, .permission, .modelNotFound,
                .unsupportedCapability, .cancelled, .deadlineExceeded, .protocolViolation:
                false
            }
        }
    }

    /// What went wrong.
    public var code: Code
    /// The particulars, for a person: the vendor's words, cut short, without keys.
    public var message: String
    /// Whether another attempt can succeed: the code's answer unless the vendor said otherwise.
    public var retryable: Bool
    /// How long to wait before the next attempt, if the vendor said.
    public var retryAfter: Duration?
    /// The provider that failed, if one was reached.
    public var provider: String?
    /// The HTTP status of the vendor's answer. An error inside a stream has 200 or none.
    public var httpStatus: Int?
    /// The vendor's name for the failed call, for its support.
    public var requestID: String?
    /// Bytes of text, reasoning and tool arguments that had been delivered before: above 0, a repetition repeats them.
    public var deliveredBytes: Int
    /// The text that had been delivered before, filled in by `generate(_:)`, whose caller did not see it. Not part of the description.
    public var deliveredText: String?

    /// Creates an error; whether it is retryable follows from the code unless given.
    public init(
        _ code: Code, _ message: String, retryable: Bool? = nil, retryAfter: Duration? = nil, provider: String? = nil,
        httpStatus: Int? = nil,
        requestID: String? = nil, deliveredBytes: Int = 0
    ) {
        self.code = code
        self.message = message
        self.retryable = retryable ?? code.isRetryable
        self.retryAfter = retryAfter
        self.provider = provider
        self.httpStatus = httpStatus
        self.requestID = requestID
        self.deliveredBytes = deliveredBytes
    }
}

extension LLMError: Hashable {
    /// Equality is the code's.
    public static func == (one: LLMError, other: LLMError) -> Bool { one.code == other.code }
    /// Hashes the code.
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension LLMError: CustomStringConvertible {
    /// `code: message [provider, HTTP status, request id, bytes delivered, retry after]`.
    public var description: String {
        let particulars = [
            provider, httpStatus.map { "HTTP \($0)" }, requestID.map { "request \($0)" },
            deliveredBytes > 0 ? "after \(deliveredBytes) bytes" : nil, retryAfter.map { "retry after \($0)" },
        ]
        let suffix = particulars.compactMap(\.self).joined(separator: ", ")
        return "\(code.rawValue): \(message)" + (suffix.isEmpty ? "" : " [\(suffix)]")
    }
}

extension LLMError: LLMWireValue, JSONRepresentable {
    /// Reads an error. A code of a newer node reads as `protocol`, keeping its word. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        let word: String = try json.required("code")
        let code = Code(rawValue: word)
        let message: String = try json.optional("message") ?? ""
        let wait: Int? = try json.optional("retryAfterMilliseconds")
        self.init(
            code ?? .protocolViolation, code == nil ? "\(word.printable): \(message)" : message, retryable: try json.optional("retryable"),
            retryAfter: wait.map { .milliseconds(max(0, $0)) }, provider: try json.optional("provider"),
            httpStatus: try json.optional("httpStatus"), requestID: try json.optional("requestID"),
            deliveredBytes: try json.optional("deliveredBytes") ?? 0)
        deliveredText = try json.optional("deliveredText")
    }

    /// An object with the names of the properties, the wait as `retryAfterMilliseconds`.
    public var json: JSONValue {
        var object: JSONObject = ["code": .string(code.rawValue), "message": .string(message), "retryable": .bool(retryable)]
        object.set("retryAfterMilliseconds", retryAfter.map { Int($0.milliseconds) })
        object.set("provider", provider)
        object.set("httpStatus", httpStatus)
        object.set("requestID", requestID)
        object.set("deliveredBytes", deliveredBytes > 0 ? deliveredBytes : nil)
        object.set("deliveredText", deliveredText)
        return .object(object)
    }
}
