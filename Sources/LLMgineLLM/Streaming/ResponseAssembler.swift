/// Folds the events of a stream into the whole answer.
///
/// It checks what a consumer relies on: no event is missing, calls begin before they grow, and there is a terminal.
public struct ResponseAssembler: Sendable, Hashable {
    /// The most bytes that an answer may have: 16 MiB.
    public static let maximumBytes = 16 << 20

    /// The answer so far.
    public private(set) var text = ""
    private var start: LLMStart?
    private var reasoning = ""
    private var opaque: [LLMOpaque] = []
    private var calls: [LLMToolCall] = []
    private var end: End?
    private var sequence = 0
    private var bytes = 0

    private struct End: Hashable {
        let reason: LLMFinishReason
        let usage: LLMUsage
    }

    /// An answer of which nothing is known yet.
    public init() {}

    /// Takes the next event.
    /// - Throws: the error that the event carries; `protocol` if an event is missing or out of place, or the answer is larger than
    ///   ``maximumBytes``.
    public mutating func append(_ event: LLMStreamEvent) throws(LLMError) {
        guard event.sequence == sequence else {
            throw LLMError(.protocolViolation, "event \(event.sequence) came where \(sequence) was due")
        }
        guard end == nil else { throw LLMError(.protocolViolation, "an event came after the end of the answer") }
        sequence += 1
        bytes += event.kind.deliveredBytes
        guard bytes <= Self.maximumBytes else { throw LLMError(.protocolViolation, "the answer is larger than \(Self.maximumBytes) bytes") }
        try take(event.kind)
    }

    private mutating func take(_ kind: LLMStreamEvent.Kind) throws(LLMError) {
        switch kind {
        case .start(let start):
            guard self.start == nil else { throw LLMError(.protocolViolation, "the answer began twice") }
            self.start = start
        case .usage: break  // the final one comes with the end
        case .textDelta(let delta): text += delta
        case .reasoningDelta(let delta): reasoning += delta
        case .toolCallStart(let index, let id, let name):
            guard index == calls.count else { throw LLMError(.protocolViolation, "tool call \(index) began where \(calls.count) was due") }
            calls.append(LLMToolCall(id: id, name: name, arguments: ""))
        case .toolCallDelta(let index, let arguments):
            guard calls.indices.contains(index) else { throw LLMError(.protocolViolation, "tool call \(index) grew before it began") }
            calls[index].arguments += arguments
        case .toolCallEnd(let index):
            guard calls.indices.contains(index) else { throw LLMError(.protocolViolation, "tool call \(index) ended before it began") }
        case .opaque(let blob): opaque.append(blob)
        case .finish(let reason, let usage): end = End(reason: reason, usage: usage)
        case .error(let error): throw error
        }
    }

    /// The whole answer. - Throws: `truncatedStream` if its end has not come, with the bytes that have.
    public func response() throws(LLMError) -> LLMResponse {
        guard let end, let start else {
            throw LLMError(.truncatedStream, "the answer stopped without its end", deliveredBytes: bytes)
        }
        let thoughts = reasoning.isEmpty && opaque.isEmpty ? nil : LLMReasoning(text: reasoning, opaque: opaque)
        return LLMResponse(
            id: start.id, model: start.model, provider: start.provider, worker: start.worker, text: text, reasoning: thoughts,
            toolCalls: calls,
            finishReason: end.reason, usage: end.usage, warnings: start.warnings)
    }
}
