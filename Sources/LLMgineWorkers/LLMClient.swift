public import LLMgineBus
public import LLMgineLLM

/// Runs calls of models on the workers of the cluster: `node.llm`.
///
/// ```swift
/// let answer = try await node.llm.generate(LLMRequest(model: "embedded/pirate", messages: [.user("hello")]))
/// for try await event in node.llm.stream(request) { ... }
/// ```
/// A call goes to a worker that offers the model's provider and has a free slot. Until its first content has been delivered it moves on when the worker
/// dies, stops or fails in a way that another one may not; after that a failure is final, and says how much had been delivered.
public struct LLMClient: Sendable {
    /// How calls are made.
    public struct Configuration: Sendable, Hashable {
        /// The time of a call that does not set its own. Default 120 s.
        public var timeout: Duration
        /// How many workers may try. Default 3.
        public var maximumAttempts: Int
        /// Replies that may wait unread. Default 64.
        public var replyWindow: Int

        /// A configuration with the documented defaults.
        public init(timeout: Duration = .seconds(120), maximumAttempts: Int = 3, replyWindow: Int = 64) {
            self.timeout = timeout
            self.maximumAttempts = maximumAttempts
            self.replyWindow = replyWindow
        }
    }

    /// How calls are made.
    public let configuration: Configuration
    private let bus: MessageBus

    /// A client of the workers that the bus can reach.
    public init(bus: MessageBus, configuration: Configuration = Configuration()) {
        self.bus = bus
        self.configuration = configuration
    }

    /// Prepares a call, which starts when the stream is iterated and ends when that is given up.
    ///
    /// The stream throws ``LLMError``: `noWorkerAvailable` if nobody offers the model or has room in time, `workerLost` if the worker died after it had begun
    /// to answer, and what the model's provider throws.
    public func stream(_ request: LLMRequest) -> LLMEventStream {
        LLMEventStream { [self] in
            let call = WorkerCall(request, bus: bus, configuration: configuration)
            return call.pull
        }
    }

    /// Runs a call to its end. - Throws: what the stream throws, with the text that had arrived in `deliveredText`.
    public func generate(_ request: LLMRequest) async throws(LLMError) -> LLMResponse {
        try await stream(request).response()
    }
}
