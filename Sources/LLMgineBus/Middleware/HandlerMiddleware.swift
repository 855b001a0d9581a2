public import LLMgineCore

/// Stands around every call of a handler: before it, after it, or in its place.
///
/// The one that was added first is outermost. Middleware runs where handlers run, for every attempt, and inside the circuit breaker: what it throws counts
/// as a failure of the handler and never reaches a publisher. An event that it does not pass on counts as handled; a command has the value that it
/// returns. See ``MessageBus/addMiddleware(_:)``.
///
/// ```swift
/// struct Audit: HandlerMiddleware {
///     func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
///         audit(call.commandType, call.context.session)
///         return try await next()
///     }
/// }
/// ```
public protocol HandlerMiddleware: Sendable {
    /// Around the handler of a command on this node. By default passes it on.
    /// - Parameter next: the rest of the middleware and the handler. May be called again, which is a further attempt.
    func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue
    /// Around the handler of one subscription to an event. By default passes it on.
    func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws
}

extension HandlerMiddleware {
    /// Passes the command on.
    public func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        try await next()
    }

    /// Passes the event on.
    public func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws { try await next() }
}

/// What the handler of a command returns; nil if nothing.
public typealias CommandValue = (any Codable & Sendable)?

/// A command on its way to its handler.
public struct CommandCall: Sendable {
    /// The command.
    public let command: any Command
    /// The wire name of its type.
    public let commandType: String
    /// What the handler is told beside it.
    public let context: CommandContext

    /// Describes a call.
    public init(command: any Command, commandType: String, context: CommandContext) {
        self.command = command
        self.commandType = commandType
        self.context = context
    }
}

/// An event on its way to the handler of one subscription.
public struct EventCall: Sendable {
    /// The event as the handler takes it: a value of its type, or the ``Message`` of a handler of bytes.
    public let event: any Sendable
    /// The wire name of its type; nil for bytes without one.
    public let eventType: String?
    /// The name of the subscription.
    public let handler: String
    /// What the handler is told beside it.
    public let context: EventContext
}
