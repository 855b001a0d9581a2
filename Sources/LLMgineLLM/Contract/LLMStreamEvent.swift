/// One step of a streamed answer.
///
/// A stream is a `start`, then content, then exactly one terminal: `finish`, or an error. In a process the error is thrown by the stream; between nodes
/// it travels as the `error` event. A stream that ends without either was cut, and every hop treats it so.
public struct LLMStreamEvent: Sendable, Hashable {
    /// The place in this stream: 0, 1, 2 and so on without a gap. Each hop counts anew, because hops join what they deliver together.
    public var sequence: Int
    /// What happened.
    public var kind: Kind

    /// Creates a step.
    public init(sequence: Int, kind: Kind) {
        self.sequence = sequence
        self.kind = kind
    }

    /// What happened in a stream.
    public enum Kind: Sendable, Hashable {
        /// The call was accepted. First, and once.
        case start(LLMStart)
        /// What is known about the cost so far, as soon as it is known.
        case usage(LLMUsage)
        /// More of the answer.
        case textDelta(String)
        /// More of what the model thinks.
        case reasoningDelta(String)
        /// A tool call begins. Calls are numbered from 0 in the order in which they begin; they may interleave.
        case toolCallStart(index: Int, id: String, name: String)
        /// More of the arguments of a call.
        case toolCallDelta(index: Int, arguments: String)
        /// The arguments of a call are complete.
        case toolCallEnd(index: Int)
        /// Something that the next request must give back unchanged.
        case opaque(LLMOpaque)
        /// The answer is complete. Terminal.
        case finish(LLMFinishReason, LLMUsage)
        /// The call failed. Terminal. Seen only between nodes: a stream in a process throws it.
        case error(LLMError)
    }
}

/// What the beginning of a stream tells.
public struct LLMStart: Sendable, Hashable {
    /// The vendor's name for the answer, empty if it gave none.
    public var id: String
    /// The model that answers, as the vendor names it.
    public var model: String
    /// The provider that runs it.
    public var provider: String
    /// The node that runs it, nil in a process without a worker.
    public var worker: String?
    /// The settings that are not honoured.
    public var warnings: [LLMWarning]

    /// Creates a beginning.
    public init(id: String = "", model: String, provider: String, worker: String? = nil, warnings: [LLMWarning] = []) {
        self.id = id
        self.model = model
        self.provider = provider
        self.worker = worker
        self.warnings = warnings
    }
}

extension LLMStreamEvent.Kind {
    /// Whether nothing may follow.
    public var isTerminal: Bool {
        switch self {
        case .finish, .error: true
        case .start, .usage, .textDelta, .reasoningDelta, .toolCallStart, .toolCallDelta, .toolCallEnd, .opaque: false
        }
    }

    /// Whether it is part of the answer, so that a caller who has seen it cannot be given another attempt.
    package var isContent: Bool {
        switch self {
        case .textDelta, .reasoningDelta, .toolCallStart, .toolCallDelta, .toolCallEnd, .opaque, .finish: true
        case .start, .usage, .error: false
        }
    }

    /// Bytes of text, reasoning or arguments in it.
    package var deliveredBytes: Int {
        switch self {
        case .textDelta(let text), .reasoningDelta(let text), .toolCallDelta(_, let text): text.utf8.count
        case .start, .usage, .toolCallStart, .toolCallEnd, .opaque, .finish, .error: 0
        }
    }
}
