public import LLMgineCore

/// The form that the answer shall have.
public enum LLMResponseFormat: Sendable, Hashable {
    /// Plain text.
    case text
    /// Some JSON object.
    case json
    /// JSON that keeps a schema.
    case schema(name: String, schema: JSONValue, strict: Bool?)
}

/// How much a model shall reason before it answers.
public enum LLMReasoningSetting: Sendable, Hashable {
    /// A vendor's word: `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    case effort(String)
    /// The most tokens to spend on it.
    case budget(tokens: Int)
}

extension LLMResponseFormat: LLMWireValue, JSONRepresentable {
    /// Reads a format. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        switch json.string {
        case "text": self = .text
        case "json": self = .json
        case let word?: throw LLMgineError(.badPayload, "\"\(word.printable)\" is not a response format")
        case nil: self = .schema(name: try json.required("name"), schema: json["schema"] ?? [:], strict: try json.optional("strict"))
        }
    }

    /// A word, or an object with `name`, `schema` and `strict`.
    public var json: JSONValue {
        switch self {
        case .text: return "text"
        case .json: return "json"
        case .schema(let name, let schema, let strict):
            var object: JSONObject = ["name": .string(name), "schema": schema]
            object.set("strict", strict)
            return .object(object)
        }
    }
}

extension LLMReasoningSetting: LLMWireValue, JSONRepresentable {
    /// Reads a setting. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        if let effort: String = try json.optional("effort") {
            self = .effort(effort)
        } else {
            self = .budget(tokens: try json.required("budgetTokens"))
        }
    }

    /// An object with `effort` or `budgetTokens`.
    public var json: JSONValue {
        switch self {
        case .effort(let effort): ["effort": .string(effort)]
        case .budget(let tokens): ["budgetTokens": tokens.json]
        }
    }
}
