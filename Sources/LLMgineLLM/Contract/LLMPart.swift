public import LLMgineCore

/// A piece of a message.
public enum LLMPart: Sendable, Hashable {
    /// Text.
    case text(String)
    /// A picture.
    case image(LLMMedia)
    /// Sound.
    case audio(LLMMedia)
    /// A document.
    case file(LLMMedia)
    /// A call that the model made.
    case toolCall(LLMToolCall)
    /// What came of a call.
    case toolResult(LLMToolResult)
    /// What the model thought, to be given back to it.
    case reasoning(LLMReasoning)
}

/// Something other than text: by address, or the bytes themselves.
public struct LLMMedia: Sendable, Hashable {
    /// Where the bytes are.
    public enum Source: Sendable, Hashable {
        /// An address that the vendor can reach.
        case url(String)
        /// The bytes in base64.
        case base64(String)
    }

    /// Where the bytes are.
    public var source: Source
    /// The media type, as `image/png`. Needed with bytes.
    public var mimeType: String?
    /// The name of the file, if it has one.
    public var name: String?

    /// Creates a reference to media.
    public init(_ source: Source, mimeType: String? = nil, name: String? = nil) {
        self.source = source
        self.mimeType = mimeType
        self.name = name
    }
}

/// What a model thought. The text is for people; the opaque blobs are for the model that wrote them, and for no other.
public struct LLMReasoning: Sendable, Hashable {
    /// The thoughts, as far as the vendor shows them.
    public var text: String
    /// Signatures and encrypted thoughts, to be returned unchanged.
    public var opaque: [LLMOpaque]

    /// Creates reasoning.
    public init(text: String, opaque: [LLMOpaque] = []) {
        self.text = text
        self.opaque = opaque
    }
}

/// Bytes that only their origin understands. An adapter sends them back to the same origin and drops them, with a warning, anywhere else.
public struct LLMOpaque: Sendable, Hashable {
    /// `provider/endpoint/model`.
    public var origin: String
    /// The vendor's name for it, as `signature` or `encrypted_content`.
    public var kind: String
    /// The content, unchanged.
    public var data: JSONValue

    /// Creates a blob.
    public init(origin: String, kind: String, data: JSONValue) {
        self.origin = origin
        self.kind = kind
        self.data = data
    }
}

extension LLMPart: LLMWireValue, JSONRepresentable {
    /// Reads a part by its `type`. - Throws: `badPayload`, also for a type that this version does not know: a part left out would change the question.
    public init(json: JSONValue) throws(LLMgineError) {
        let type: String = try json.required("type")
        switch type {
        case "text": self = .text(try json.required("text"))
        case "image": self = .image(try LLMMedia(json: json))
        case "audio": self = .audio(try LLMMedia(json: json))
        case "file": self = .file(try LLMMedia(json: json))
        case "toolCall": self = .toolCall(try LLMToolCall(json: json))
        case "toolResult": self = .toolResult(try LLMToolResult(json: json))
        case "reasoning": self = .reasoning(try LLMReasoning(json: json))
        default: throw LLMgineError(.badPayload, "a part has the unknown type \"\(type.printable)\"")
        }
    }

    /// An object with `type` and the members of what it holds.
    public var json: JSONValue {
        switch self {
        case .text(let text): ["type": "text", "text": .string(text)]
        case .image(let media): tagged("image", media.json)
        case .audio(let media): tagged("audio", media.json)
        case .file(let media): tagged("file", media.json)
        case .toolCall(let call): tagged("toolCall", call.json)
        case .toolResult(let result): tagged("toolResult", result.json)
        case .reasoning(let reasoning): tagged("reasoning", reasoning.json)
        }
    }

    private func tagged(_ type: String, _ content: JSONValue) -> JSONValue {
        var object: JSONObject = ["type": .string(type)]
        if case .object(let members) = content { object.merge(members) }
        return .object(object)
    }
}

extension LLMMedia: LLMWireValue, JSONRepresentable {
    /// Reads media from `url` or `base64`. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        let source: Source
        if let url: String = try json.optional("url") {
            source = .url(url)
        } else {
            source = .base64(try json.required("base64"))
        }
        self.init(source, mimeType: try json.optional("mimeType"), name: try json.optional("name"))
    }

    /// An object with `url` or `base64`, `mimeType` and `name`.
    public var json: JSONValue {
        var object = JSONObject()
        switch source {
        case .url(let url): object.set("url", url)
        case .base64(let data): object.set("base64", data)
        }
        object.set("mimeType", mimeType)
        object.set("name", name)
        return .object(object)
    }
}

extension LLMReasoning: LLMWireValue, JSONRepresentable {
    /// Reads reasoning. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(text: try json.optional("text") ?? "", opaque: try json.optional("opaque") ?? [])
    }

    /// An object with `text` and `opaque`.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("text", text)
        object.set("opaque", unlessEmpty: opaque)
        return .object(object)
    }
}

extension LLMOpaque: LLMWireValue, JSONRepresentable {
    /// Reads a blob. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(origin: try json.required("origin"), kind: try json.required("kind"), data: json["data"] ?? .null)
    }

    /// An object with `origin`, `kind` and `data`.
    public var json: JSONValue { ["origin": .string(origin), "kind": .string(kind), "data": data] }
}
