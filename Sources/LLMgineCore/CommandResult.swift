import struct FoundationEssentials.Data
import class FoundationEssentials.JSONDecoder
import class FoundationEssentials.JSONEncoder

/// Names a command that was asked for, the same at every attempt, also at those out of the dead letters, and on every node.
public struct CommandID: Sendable, Hashable, Codable, CustomStringConvertible {
    /// `node/incarnation/c<number>` for commands of a bus.
    public let text: String
    /// Wraps a text.
    public init(_ text: String) { self.text = text }
    /// The text.
    public var description: String { text }

    /// Decodes from a single string.
    public init(from decoder: any Decoder) throws { text = try decoder.singleValueContainer().decode(String.self) }
    /// Encodes as a single string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// How the execution of a command ended. A command that fails gives a result as well: executing never throws.
public struct CommandResult: Payload, Codable {
    /// The command that was executed.
    public var id: CommandID
    /// Whether the handler returned.
    public var isSuccess: Bool
    /// Why not, if it did not.
    public var error: LLMgineError?
    /// How often the handler was called, or asked for on another node.
    public var attempts: Int
    /// Whether executing the same command again may succeed.
    public var isRetryable: Bool
    /// What the handler adds, for people and programs.
    public var metadata: [String: String]
    /// The session that the command belongs to.
    public var session: SessionID
    private var output: Output

    /// What the handler returned: as it is within a process, as JSON from another.
    private enum Output: Sendable {
        case none
        case value(any Codable & Sendable)
        case encoded([UInt8])
    }

    /// The result of a handler that returned.
    public init(
        success id: CommandID, value: (any Codable & Sendable)? = nil, attempts: Int = 1, metadata: [String: String] = [:],
        session: SessionID = .bus
    ) {
        self.id = id
        self.isSuccess = true
        self.error = nil
        self.attempts = attempts
        self.isRetryable = false
        self.metadata = metadata
        self.session = session
        self.output = value.map { .value($0) } ?? .none
    }

    /// The result of a command that failed.
    public init(
        failure id: CommandID, _ error: LLMgineError, attempts: Int, isRetryable: Bool = false, metadata: [String: String] = [:],
        session: SessionID = .bus
    ) {
        self.id = id
        self.isSuccess = false
        self.error = error
        self.attempts = attempts
        self.isRetryable = isRetryable
        self.metadata = metadata
        self.session = session
        self.output = .none
    }

    /// What the handler returned, as the type that it is.
    /// - Throws: the error of a failed command; `badPayload` if the handler returned something else or nothing.
    public func value<Value: Codable & Sendable>(as type: Value.Type = Value.self) throws(LLMgineError) -> Value {
        if let error { throw error }
        switch output {
        case .value(let value):
            if let value = value as? Value { return value }
        case .encoded(let bytes):
            do { return try JSONDecoder().decode(Box<Value>.self, from: Data(bytes)).value } catch {
                throw LLMgineError(.badPayload, "the handler's value is not a \(Value.self)", cause: error)
            }
        case .none: break
        }
        throw LLMgineError(.badPayload, "the handler did not return a \(Value.self)")
    }

    /// Whether the handler returned a value.
    public var hasValue: Bool {
        if case .none = output { return false }
        return true
    }

    /// JSON from Swift 5.7 on takes any value at the top, other tools do not: an object around it is safe everywhere.
    private struct Box<Value: Codable>: Codable {
        let value: Value
    }

    private enum Key: String, CodingKey {
        case id, success, error, detail, attempts, retryable, metadata, session, output
    }

    /// Reads a result that came over a link. An error code of a later version is read as `remoteError`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        id = try container.decode(CommandID.self, forKey: .id)
        isSuccess = try container.decode(Bool.self, forKey: .success)
        attempts = try container.decode(Int.self, forKey: .attempts)
        isRetryable = try container.decode(Bool.self, forKey: .retryable)
        metadata = try container.decode([String: String].self, forKey: .metadata)
        session = try container.decode(SessionID.self, forKey: .session)
        output = try container.decodeIfPresent(String.self, forKey: .output).map { .encoded(Array($0.utf8)) } ?? .none
        error = try container.decodeIfPresent(String.self, forKey: .error).map { code in
            LLMgineError(
                LLMgineError.Code(rawValue: code) ?? .remoteError, try container.decodeIfPresent(String.self, forKey: .detail) ?? "")
        }
        if isSuccess {
            error = nil
        } else if error == nil {
            error = LLMgineError(.remoteError, "the command failed without an error")
        }
    }

    /// Writes the result for another node. The cause of an error stays here.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(id, forKey: .id)
        try container.encode(isSuccess, forKey: .success)
        try container.encodeIfPresent(error?.code.rawValue, forKey: .error)
        try container.encodeIfPresent(error?.detail, forKey: .detail)
        try container.encode(attempts, forKey: .attempts)
        try container.encode(isRetryable, forKey: .retryable)
        try container.encode(metadata, forKey: .metadata)
        try container.encode(session, forKey: .session)
        switch output {
        case .none: break
        case .value(let value): try container.encode(String(decoding: try CommandResult.json(value), as: UTF8.self), forKey: .output)
        case .encoded(let bytes): try container.encode(String(decoding: bytes, as: UTF8.self), forKey: .output)
        }
    }

    private static func json<Value: Codable>(_ value: Value) throws -> Data { try JSONEncoder().encode(Box(value: value)) }
}

extension Command {
    /// Where other nodes ask for the command: `commands.<commandType>`.
    public static var topic: Topic { Topic(typeName: commandType, under: "commands") }
}
