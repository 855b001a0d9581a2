/// What is asked of a model, in words that fit every vendor.
///
/// ```swift
/// let request = LLMRequest(model: "embedded/pirate", messages: [.system("Be brief."), .user("hello")])
/// ```
/// What only one vendor has goes into ``extensions``; how the call is run, and not what it asks, is in ``execution``. A setting that the chosen model
/// cannot honour comes back as a warning of the response. Whether the answer streams is not a setting: it is the choice between
/// `stream(_:)` and `generate(_:)`.
public struct LLMRequest: Sendable, Hashable {
    /// Names the call in logs, spans and vendors' traces; nil lets each layer use its own number.
    public var id: String?
    /// The model as `provider/model`; without a prefix it means an OpenAI-compatible server. See ``LLMModelName``.
    public var model: String
    /// The conversation, oldest first.
    public var messages: [LLMMessage]
    /// The tools that the model may call.
    public var tools: [LLMTool]
    /// Whether and which tools the model shall call; nil leaves it to the model.
    public var toolChoice: LLMToolChoice?
    /// Whether several tools may be called in one answer; nil is the vendor's default.
    public var parallelToolCalls: Bool?
    /// The form of the answer; plain text unless set.
    public var responseFormat: LLMResponseFormat
    /// The most tokens that the answer may have, reasoning included; nil is the vendor's default.
    public var maxOutputTokens: Int?
    /// Randomness of sampling, from 0; nil is the vendor's default.
    public var temperature: Double?
    /// Nucleus sampling, 0 to 1; nil is the vendor's default.
    public var topP: Double?
    /// How many of the likeliest tokens are sampled from; nil is the vendor's default.
    public var topK: Int?
    /// Texts at which the answer ends, themselves left out.
    public var stop: [String]
    /// Makes sampling repeatable where the vendor can.
    public var seed: Int?
    /// Discourages what occurred at all, -2 to 2.
    public var presencePenalty: Double?
    /// Discourages what occurred often, -2 to 2.
    public var frequencyPenalty: Double?
    /// How much the model shall reason before it answers.
    public var reasoning: LLMReasoningSetting?
    /// Pairs that the vendor stores with the call.
    public var metadata: [String: String]
    /// Vendors' own settings by provider name. The members of the object are merged verbatim into the body of the request to that provider.
    public var extensions: [String: JSONValue]
    /// How the call is run.
    public var execution: LLMExecution

    /// Creates a request; everything but the model and the conversation has a default.
    public init(
        model: String, messages: [LLMMessage], tools: [LLMTool] = [], toolChoice: LLMToolChoice? = nil, parallelToolCalls: Bool? = nil,
        responseFormat: LLMResponseFormat = .text, maxOutputTokens: Int? = nil, temperature: Double? = nil, topP: Double? = nil,
        topK: Int? = nil,
        stop: [String] = [], seed: Int? = nil, presencePenalty: Double? = nil, frequencyPenalty: Double? = nil,
        reasoning: LLMReasoningSetting? = nil, metadata: [String: String] = [:], extensions: [String: JSONValue] = [:],
        execution: LLMExecution = LLMExecution(), id: String? = nil
    ) {
        self.id = id
        self.model = model
        self.messages = messages
        self.tools = tools
        self.toolChoice = toolChoice
        self.parallelToolCalls = parallelToolCalls
        self.responseFormat = responseFormat
        self.maxOutputTokens = maxOutputTokens
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.stop = stop
        self.seed = seed
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.reasoning = reasoning
        self.metadata = metadata
        self.extensions = extensions
        self.execution = execution
    }
}
