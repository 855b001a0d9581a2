public import LLMgineCore

/// One turn of a conversation.
public struct LLMMessage: Sendable, Hashable {
    /// Who speaks.
    public enum Role: String, Sendable, Hashable, JSONRepresentable {
        /// The application, to the model.
        case system
        /// The person.
        case user
        /// The model.
        case assistant
        /// A tool, answering a call.
        case tool
    }

    /// Who speaks.
    public var role: Role
    /// What is said, in order.
    public var parts: [LLMPart]

    /// Creates a turn of parts.
    public init(role: Role, parts: [LLMPart]) {
        self.role = role
        self.parts = parts
    }

    /// An instruction of the application.
    public static func system(_ text: String) -> LLMMessage { LLMMessage(role: .system, parts: [.text(text)]) }
    /// What the person says.
    public static func user(_ text: String) -> LLMMessage { LLMMessage(role: .user, parts: [.text(text)]) }
    /// What the person says, with pictures or files.
    public static func user(_ parts: [LLMPart]) -> LLMMessage { LLMMessage(role: .user, parts: parts) }
    /// What the model said, with the tools it called.
    public static func assistant(_ text: String, toolCalls: [LLMToolCall] = []) -> LLMMessage {
        LLMMessage(role: .assistant, parts: (text.isEmpty ? [] : [.text(text)]) + toolCalls.map(LLMPart.toolCall))
    }
    /// The result of one tool call.
    public static func tool(_ text: String, callID: String, name: String? = nil, isError: Bool = false) -> LLMMessage {
        LLMMessage(role: .tool, parts: [.toolResult(LLMToolResult(callID: callID, name: name, parts: [.text(text)], isError: isError))])
    }

    /// The text parts, joined.
    public var text: String { parts.text }
    /// The tool calls, in order.
    public var toolCalls: [LLMToolCall] {
        parts.compactMap { part in
            if case .toolCall(let call) = part { call } else { nil }
        }
    }
}

extension LLMMessage: LLMWireValue, JSONRepresentable {
    /// Reads a turn. The parts may be given as one string. - Throws: `badPayload`.
    public init(json: JSONValue) throws(LLMgineError) {
        let role: Role = try json.required("role")
        if let text = json["parts"]?.string {
            self.init(role: role, parts: [.text(text)])
        } else {
            self.init(role: role, parts: try json.required("parts"))
        }
    }

    /// An object with `role` and `parts`; one text alone is written as a string.
    public var json: JSONValue {
        var object = JSONObject()
        object.set("role", role)
        if parts.count == 1, case .text(let text) = parts[0] {
            object.set("parts", text)
        } else {
            object.set("parts", parts)
        }
        return .object(object)
    }
}

extension [LLMPart] {
    /// The text parts, joined.
    package var text: String {
        reduce(into: "") { text, part in
            if case .text(let more) = part { text += more }
        }
    }
}
