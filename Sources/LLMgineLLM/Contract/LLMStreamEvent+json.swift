public import LLMgineCore

extension LLMStreamEvent: LLMWireValue, JSONRepresentable {
    /// Reads a step. - Throws: `badPayload`, also for a kind that this version does not know.
    public init(json: JSONValue) throws(LLMgineError) {
        self.init(sequence: try json.required("sequence"), kind: try Kind(json: json))
    }

    /// An object with `sequence`, `type` and the members of its kind.
    public var json: JSONValue {
        var object: JSONObject = ["sequence": sequence.json, "type": .string(kind.type)]
        kind.write(into: &object)
        return .object(object)
    }
}

extension LLMStreamEvent.Kind {
    fileprivate init(json: JSONValue) throws(LLMgineError) {
        let type: String = try json.required("type")
        switch type {
        case "start": self = .start(try LLMStart(json: json))
        case "usage": self = .usage(try json.required("usage"))
        case "textDelta": self = .textDelta(try json.required("text"))
        case "reasoningDelta": self = .reasoningDelta(try json.required("text"))
        case "toolCallStart":
            self = .toolCallStart(index: try json.required("index"), id: try json.required("id"), name: try json.required("name"))
        case "toolCallDelta": self = .toolCallDelta(index: try json.required("index"), arguments: try json.required("arguments"))
        case "toolCallEnd": self = .toolCallEnd(index: try json.required("index"))
        case "opaque": self = .opaque(try LLMOpaque(json: json))
        case "finish": self = .finish(try json.required("reason"), try json.required("usage"))
        case "error": self = .error(try json.required("error"))
        default: throw LLMgineError(.badPayload, "a stream event has the unknown type \"\(type.printable)\"")
        }
    }

    /// The name of the kind on the wire.
    fileprivate var type: String {
        switch self {
        case .start: "start"
        case .usage: "usage"
        case .textDelta: "textDelta"
        case .reasoningDelta: "reasoningDelta"
        case .toolCallStart: "toolCallStart"
        case .toolCallDelta: "toolCallDelta"
        case .toolCallEnd: "toolCallEnd"
        case .opaque: "opaque"
        case .finish: "finish"
        case .error: "error"
        }
    }

    fileprivate func write(into object: inout JSONObject) {
        switch self {
        case .start(let start): start.write(into: &object)
        case .usage(let usage): object.set("usage", usage)
        case .textDelta(let text), .reasoningDelta(let text): object.set("text", text)
        case .toolCallStart(let index, let id, let name):
            object.set("index", index)
            object.set("id", id)
            object.set("name", name)
        case .toolCallDelta(let index, let arguments):
            object.set("index", index)
            object.set("arguments", arguments)
        case .toolCallEnd(let index): object.set("index", index)
        case .opaque(let opaque):
            object.set("origin", opaque.origin)
            object.set("kind", opaque.kind)
            object.set("data", opaque.data)
        case .finish(let reason, let usage):
            object.set("reason", reason)
            object.set("usage", usage)
        case .error(let error): object.set("error", error)
        }
    }
}

extension LLMStart {
    fileprivate init(json: JSONValue) throws(LLMgineError) {
        self.init(
            id: try json.optional("id") ?? "", model: try json.required("model"), provider: try json.required("provider"),
            worker: try json.optional("worker"), warnings: try json.optional("warnings") ?? [])
    }

    fileprivate func write(into object: inout JSONObject) {
        object.set("id", id.isEmpty ? nil : id)
        object.set("model", model)
        object.set("provider", provider)
        object.set("worker", worker)
        object.set("warnings", unlessEmpty: warnings)
    }
}

/// The steps that one reply message carries: whatever was ready at once.
public struct LLMEventBatch: LLMWireValue {
    /// The steps, in order.
    public var events: [LLMStreamEvent]

    /// Creates a batch.
    public init(_ events: [LLMStreamEvent]) { self.events = events }
    /// Reads a JSON array. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) { events = try [LLMStreamEvent](json: json) }
    /// A JSON array.
    public var json: JSONValue { events.json }
}
