public import LLMgineCore

/// The tokens that a call consumed. A number that the vendor did not give is nil; an explicit zero is a zero.
public struct LLMUsage: Sendable, Hashable {
    /// Tokens of the question.
    public struct Input: Sendable, Hashable {
        /// All of them, cached or not.
        public var total: Int?
        /// Those that no cache held.
        public var noCache: Int?
        /// Those read from the vendor's prompt cache.
        public var cacheRead: Int?
        /// Those written to it.
        public var cacheWrite: Int?

        /// Creates counts.
        public init(total: Int? = nil, noCache: Int? = nil, cacheRead: Int? = nil, cacheWrite: Int? = nil) {
            self.total = total
            self.noCache = noCache
            self.cacheRead = cacheRead
            self.cacheWrite = cacheWrite
        }
    }

    /// Tokens of the answer.
    public struct Output: Sendable, Hashable {
        /// All of them, reasoning included.
        public var total: Int?
        /// Those spent on reasoning.
        public var reasoning: Int?

        /// Creates counts.
        public init(total: Int? = nil, reasoning: Int? = nil) {
            self.total = total
            self.reasoning = reasoning
        }
    }

    /// Tokens of the question.
    public var input: Input
    /// Tokens of the answer.
    public var output: Output
    /// Whether we counted, roughly, because the vendor did not say.
    public var estimated: Bool
    /// What the vendor wrote.
    public var raw: JSONValue?

    /// Creates usage.
    public init(input: Input = Input(), output: Output = Output(), estimated: Bool = false, raw: JSONValue? = nil) {
        self.input = input
        self.output = output
        self.estimated = estimated
        self.raw = raw
    }

    /// A guess from sizes, at four bytes a token, marked as such.
    package static func estimate(inputBytes: Int, outputBytes: Int) -> LLMUsage {
        LLMUsage(input: Input(total: (inputBytes + 3) / 4), output: Output(total: (outputBytes + 3) / 4), estimated: true)
    }
}

extension LLMUsage: LLMWireValue, JSONRepresentable {
    /// Reads usage. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init()
        let input = json["input"] ?? [:]
        let output = json["output"] ?? [:]
        self.input = Input(
            total: try input.optional("total"), noCache: try input.optional("noCache"), cacheRead: try input.optional("cacheRead"),
            cacheWrite: try input.optional("cacheWrite"))
        self.output = Output(total: try output.optional("total"), reasoning: try output.optional("reasoning"))
        estimated = try json.optional("estimated") ?? false
        raw = json["raw"]
    }

    /// An object with `input`, `output`, `estimated` and `raw`.
    public var json: JSONValue {
        var input = JSONObject()
        input.set("total", self.input.total)
        input.set("noCache", self.input.noCache)
        input.set("cacheRead", self.input.cacheRead)
        input.set("cacheWrite", self.input.cacheWrite)
        var output = JSONObject()
        output.set("total", self.output.total)
        output.set("reasoning", self.output.reasoning)
        var object: JSONObject = ["input": .object(input), "output": .object(output)]
        object.set("estimated", estimated ? true : nil)
        object.set("raw", raw)
        return .object(object)
    }
}
