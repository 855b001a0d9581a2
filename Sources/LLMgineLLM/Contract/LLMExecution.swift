public import LLMgineCore

/// How a call is run, apart from what it asks.
public struct LLMExecution: Sendable, Hashable {
    /// How long the whole call may take from the moment that the layer which holds the request got it; nil is that layer's default. Each hop hands
    /// on what is left.
    public var timeout: Duration?
    /// The class in which the request and its answer travel between nodes.
    public var priority: Priority
    /// Lets a vendor that supports it recognise the repetition of a call.
    public var idempotencyKey: String?

    /// Creates the settings; the defaults are the layers' own.
    public init(timeout: Duration? = nil, priority: Priority = .normal, idempotencyKey: String? = nil) {
        self.timeout = timeout
        self.priority = priority
        self.idempotencyKey = idempotencyKey
    }
}

extension LLMExecution: LLMWireValue, JSONRepresentable {
    /// Reads the settings. - Throws: `badPayload`, also for a negative timeout.
    public init(json: JSONValue) throws(LLMgineError) {
        let milliseconds: Int? = try json.optional("timeoutMilliseconds")
        let priority: Int? = try json.optional("priority")
        guard milliseconds ?? 0 >= 0 else { throw LLMgineError(.badPayload, "\"timeoutMilliseconds\": is negative") }
        guard let priority = UInt8(exactly: priority ?? Int(Priority.normal.rawValue)).flatMap(Priority.init(rawValue:)) else {
            throw LLMgineError(.badPayload, "\"priority\": is not a class")
        }
        self.init(
            timeout: milliseconds.map { Duration.milliseconds($0) }, priority: priority, idempotencyKey: try json.optional("idempotencyKey")
        )
    }

    /// An object with `timeoutMilliseconds`, `priority` (0 to 3) and `idempotencyKey`.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("timeoutMilliseconds", timeout.map { Int($0.milliseconds) })
        object.set("priority", priority == .normal ? nil : Int(priority.rawValue))
        object.set("idempotencyKey", idempotencyKey)
        return .object(object)
    }
}
