public import LLMgineCore

/// A function that the model may call.
public struct LLMTool: Sendable, Hashable {
    /// The name, `[A-Za-z0-9_-]{1,64}` with most vendors.
    public var name: String
    /// What it does, for the model.
    public var description: String
    /// The JSON Schema of its arguments, an object.
    public var inputSchema: JSONValue
    /// Whether the vendor shall hold the model to the schema; nil is the vendor's default.
    public var strict: Bool?

    /// Creates a tool; without a schema it takes no arguments.
    public init(
        name: String, description: String, inputSchema: JSONValue = ["type": "object", "properties": [:]], strict: Bool? = nil
    ) {
        self.name = name
        self.description = description
        self.inputSchema = inputSchema
        self.strict = strict
    }
}

/// A call that the model made.
public struct LLMToolCall: Sendable, Hashable {
    /// The vendor's name for this call, which the result must give back.
    public var id: String
    /// The tool.
    public var name: String
    /// The arguments as the model wrote them: JSON, hopefully. Kept as text so that nothing is lost.
    public var arguments: String

    /// Creates a call.
    public init(id: String, name: String, arguments: String) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }

    /// The arguments, read. Nothing at all means no arguments. - Throws: `badPayload` if the model wrote no JSON.
    public func parsedArguments() throws(LLMgineError) -> JSONValue {
        let isEmpty = arguments.allSatisfy(\.isWhitespace)
        return isEmpty ? [:] : try JSONValue(parsing: arguments)
    }
}

/// What came of a call.
public struct LLMToolResult: Sendable, Hashable {
    /// The call that it answers.
    public var callID: String
    /// The tool, which some vendors want repeated.
    public var name: String?
    /// The result.
    public var parts: [LLMPart]
    /// Whether the tool failed and the parts say how.
    public var isError: Bool

    /// Creates a result.
    public init(callID: String, name: String? = nil, parts: [LLMPart], isError: Bool = false) {
        self.callID = callID
        self.name = name
        self.parts = parts
        self.isError = isError
    }
}

/// Whether and which tools a model shall call.
public enum LLMToolChoice: Sendable, Hashable {
    /// The model decides.
    case auto
    /// None.
    case none
    /// At least one.
    case required
    /// This one.
    case named(String)
    /// Of these only; at least one of them if `required`.
    case allowed([String], required: Bool)
}

extension LLMTool: LLMWireValue, JSONRepresentable {
    /// Reads a tool. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(name: try json.required("name"), description: try json.optional("description") ?? "")
        if let schema = json["inputSchema"] { inputSchema = schema }
        strict = try json.optional("strict")
    }

    /// An object with the names of the properties.
    public var json: JSONValue {
        var object: JSONObject = ["name": .string(name), "description": .string(description), "inputSchema": inputSchema]
        object.set("strict", strict)
        return .object(object)
    }
}

extension LLMToolCall: LLMWireValue, JSONRepresentable {
    /// Reads a call. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(id: try json.required("id"), name: try json.required("name"), arguments: try json.optional("arguments") ?? "")
    }

    /// An object with `id`, `name` and `arguments`.
    public var json: JSONValue { ["id": .string(id), "name": .string(name), "arguments": .string(arguments)] }
}

extension LLMToolResult: LLMWireValue, JSONRepresentable {
    /// Reads a result. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(
            callID: try json.required("callID"), name: try json.optional("name"), parts: try json.optional("parts") ?? [],
            isError: try json.optional("isError") ?? false)
    }

    /// An object with the names of the properties.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("callID", callID)
        object.set("name", name)
        object.set("parts", parts)
        object.set("isError", isError ? true : nil)
        return .object(object)
    }
}

extension LLMToolChoice: LLMWireValue, JSONRepresentable {
    /// Reads a choice. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        switch json.string {
        case "auto": self = .auto
        case "none": self = .none
        case "required": self = .required
        case let word?: throw LLMgineError(.badPayload, "\"\(word.printable)\" is not a tool choice")
        case nil:
            if let name: String = try json.optional("named") {
                self = .named(name)
            } else {
                self = .allowed(try json.required("allowed"), required: try json.optional("required") ?? false)
            }
        }
    }

    /// A word, or an object with `named` or `allowed`.
    public var json: JSONValue {
        switch self {
        case .auto: "auto"
        case .none: "none"
        case .required: "required"
        case .named(let name): ["named": .string(name)]
        case .allowed(let names, let required): ["allowed": names.json, "required": .bool(required)]
        }
    }
}
