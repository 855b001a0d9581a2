public import LLMgineCore
public import LLMgineLLM

/// What `embedded/script` shall do: one step for each call, in turn; the last one again for all further calls.
///
/// ```swift
/// let script = EmbeddedScript([.failing(LLMError(.rateLimited, "slow down", retryAfter: .seconds(1))), .answering("hello")])
/// let request = LLMRequest(model: "embedded/script", messages: [.user("")], extensions: ["embedded": script.json])
/// ```
/// Calls are counted by each provider, for each key; without a key, for each different script.
public struct EmbeddedScript: LLMWireValue {
    /// One call.
    public struct Step: LLMWireValue {
        /// Where and how a call goes wrong.
        public struct Interruption: Sendable, Hashable {
            /// How.
            public enum Kind: Sendable, Hashable {
                /// With an error.
                case error(LLMError)
                /// The stream just ends.
                case truncation
                /// Nothing more ever comes.
                case hang
            }

            /// How.
            public var kind: Kind
            /// How many tokens and tool calls come before; 0 for none, not even the start.
            public var afterTokens: Int

            /// Creates an interruption.
            public init(_ kind: Kind, afterTokens: Int = 0) {
                self.kind = kind
                self.afterTokens = afterTokens
            }
        }

        /// The text of the answer, to be split into tokens at white space.
        public var text = ""
        /// The tokens, if they matter; they come after the text.
        public var tokens: [String] = []
        /// What the model thinks first.
        public var reasoning = ""
        /// The tools that it calls last.
        public var toolCalls: [LLMToolCall] = []
        /// Why it ends; by default `stop`, or `toolCalls` if there are any.
        public var finish: LLMFinishReason.Unified?
        /// The cost; counted if not given.
        public var usage: LLMUsage?
        /// The wait before the first token.
        public var firstTokenDelay = Duration.zero
        /// The wait before each further token.
        public var tokenDelay = Duration.zero
        /// What goes wrong, if anything.
        public var interruption: Interruption?

        /// A step that answers nothing.
        public init() {}

        /// A step that answers with a text.
        public static func answering(_ text: String, firstTokenDelay: Duration = .zero, tokenDelay: Duration = .zero) -> Step {
            var step = Step()
            step.text = text
            step.firstTokenDelay = firstTokenDelay
            step.tokenDelay = tokenDelay
            return step
        }

        /// A step that calls tools.
        public static func calling(_ calls: [LLMToolCall]) -> Step {
            var step = Step()
            step.toolCalls = calls
            return step
        }

        /// A step that fails before its first token.
        public static func failing(_ error: LLMError) -> Step { Step().interrupted(.error(error), afterTokens: 0) }

        /// This step, interrupted.
        public func interrupted(_ kind: Interruption.Kind, afterTokens: Int) -> Step {
            var step = self
            step.interruption = Interruption(kind, afterTokens: afterTokens)
            return step
        }
    }

    /// The calls in turn, at least one.
    public var steps: [Step]
    /// Requests with the same key are counted together.
    public var key: String?

    /// Creates a script.
    public init(_ steps: [Step], key: String? = nil) {
        self.steps = steps
        self.key = key
    }

    /// Reads `{"key"?, "steps": [...]}` or a single step. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        if json["steps"] == nil {
            self.init([try Step(json: json)])
        } else {
            let steps: [JSONValue] = try json.required("steps")
            self.init(try steps.map { step throws(LLMgineError) in try Step(json: step) }, key: try json.optional("key"))
            guard !steps.isEmpty else { throw LLMgineError(.badPayload, "\"steps\" is empty") }
        }
    }

    /// An object with `key` and `steps`.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("key", key)
        object.set("steps", steps.map(\.json))
        return .object(object)
    }
}

extension EmbeddedScript.Step {
    /// Reads a step. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        text = try json.optional("text") ?? ""
        tokens = try json.optional("tokens") ?? []
        reasoning = try json.optional("reasoning") ?? ""
        toolCalls = try json.optional("toolCalls") ?? []
        finish = try json.optional("finish")
        usage = try json.optional("usage")
        firstTokenDelay = try json.delay("firstTokenDelayMilliseconds") ?? .zero
        tokenDelay = try json.delay("tokenDelayMilliseconds") ?? .zero
        interruption = try json.optional("interruption")
    }

    /// An object with the names of the properties, the delays in milliseconds.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("text", unlessEmpty: text)
        object.set("tokens", unlessEmpty: tokens)
        object.set("reasoning", unlessEmpty: reasoning)
        object.set("toolCalls", unlessEmpty: toolCalls)
        object.set("finish", finish)
        object.set("usage", usage)
        object.set("firstTokenDelayMilliseconds", firstTokenDelay > .zero ? Int(firstTokenDelay.milliseconds) : nil)
        object.set("tokenDelayMilliseconds", tokenDelay > .zero ? Int(tokenDelay.milliseconds) : nil)
        object.set("interruption", interruption)
        return .object(object)
    }
}

extension EmbeddedScript.Step.Interruption: JSONRepresentable {
    package init(json: JSONValue) throws(LLMgineError) {
        let afterTokens: Int = try json.optional("afterTokens") ?? 0
        if let error: LLMError = try json.optional("error") {
            self.init(.error(error), afterTokens: afterTokens)
        } else {
            let word: String = try json.required("kind")
            switch word {
            case "truncation": self.init(.truncation, afterTokens: afterTokens)
            case "hang": self.init(.hang, afterTokens: afterTokens)
            default: throw LLMgineError(.badPayload, "\"kind\": expected truncation or hang")
            }
        }
    }

    package var json: JSONValue {
        var object: JSONObject = ["afterTokens": .integer(Int64(afterTokens))]
        switch kind {
        case .error(let error): object.set("error", error)
        case .truncation: object.set("kind", "truncation")
        case .hang: object.set("kind", "hang")
        }
        return .object(object)
    }
}

extension JSONValue {
    /// Reads a duration in milliseconds. - Throws: `badPayload` if it is negative or longer than a day.
    func delay(_ name: StaticString) throws(LLMgineError) -> Duration? {
        guard let milliseconds: Int = try optional(name) else { return nil }
        guard (0...86_400_000).contains(milliseconds) else { throw LLMgineError(.badPayload, "\"\(name)\": expected 0 to 86400000") }
        return .milliseconds(milliseconds)
    }
}
