import LLMgineCore

/// Keeps calls with empty names away from handlers: a command without an id or session fails, an event without a session is not handled.
public struct ValidationMiddleware: HandlerMiddleware {
    /// Whether sessions are looked at. Default true.
    public let validatesSession: Bool

    /// Makes the middleware.
    public init(validatesSession: Bool = true) { self.validatesSession = validatesSession }

    /// - Throws: `invalidArgument` for an empty id or session.
    public func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        guard !call.context.id.text.isEmpty else { throw LLMgineError(.invalidArgument, "a \(call.commandType) has no id") }
        guard !validatesSession || !call.context.session.name.isEmpty else {
            throw LLMgineError(.invalidArgument, "a \(call.commandType) has no session")
        }
        return try await next()
    }

    /// Passes on what has a session.
    public func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws {
        guard !validatesSession || !call.context.session.name.isEmpty else { return }
        try await next()
    }
}
