public import LLMgineCore

/// Why an answer ended: in our word and in the vendor's.
public struct LLMFinishReason: Sendable, Hashable {
    /// The reasons that all vendors share.
    public enum Unified: String, Sendable, Hashable, CaseIterable, JSONRepresentable {
        /// The model was done, or met a stop text.
        case stop
        /// The limit of tokens was met.
        case length
        /// The model waits for the results of its tool calls.
        case toolCalls
        /// The vendor withheld the rest.
        case contentFilter
        /// Anything else; the raw word tells.
        case other
    }

    /// Our word.
    public var unified: Unified
    /// The vendor's word, empty if it gave none.
    public var raw: String

    /// Creates a reason.
    public init(_ unified: Unified, raw: String? = nil) {
        self.unified = unified
        self.raw = raw ?? unified.rawValue
    }
}

extension LLMFinishReason: LLMWireValue, JSONRepresentable {
    /// Reads a reason. A word of a newer node reads as `other`. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        let word: String = try json.required("unified")
        self.init(Unified(rawValue: word) ?? .other, raw: try json.optional("raw") ?? word)
    }

    /// An object with `unified` and `raw`.
    public var json: JSONValue { ["unified": .string(unified.rawValue), "raw": .string(raw)] }
}
