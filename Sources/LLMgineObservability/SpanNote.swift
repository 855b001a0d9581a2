package import LLMgineCore
package import LLMgineOTLP

/// One particular of a finished span, from a closed set: it is kept as the value at hand and becomes text only when it is exported.
package enum SpanNote: Sendable {
    // Messaging
    case messageID(MessageID)
    case session(SessionID)
    case priority(Priority)
    case eventType(String)
    /// The filter through which it came; also replaces the topic in the span's name, which keeps names few.
    case template(TopicFilter)
    case subscription(String)
    case group(String)
    /// 1 for the first delivery.
    case attempt(Int)
    /// Messages in one call of a batch interface.
    case batch(Int)
    /// Bytes of payload.
    case bodySize(Int)
    /// The node at the other end.
    case peer(NodeID)

    // LLM calls
    case provider(String)
    case responseModel(String)
    case responseID(String)
    case inputTokens(Int)
    case outputTokens(Int)
    case maximumTokens(Int)
    case temperature(Double)
    case finishReason(String)
    case streamed(Bool)
    /// From the request to the first piece of the answer.
    case timeToFirstChunk(Duration)
    /// The node that ran the call.
    case worker(NodeID)

    // Any
    /// A code from a closed set, as `LLMgineError.Code`.
    case errorType(String)
    case other(String, OTLP.Value)
}
