public import struct Logging.Logger

/// Logs the beginning and the end of every call of a handler, with how long it took. Never what a command or event holds.
public struct LoggingMiddleware: HandlerMiddleware {
    private let level: Logger.Level
    private let logger: Logger

    /// Logs to `llmgine.bus` unless told otherwise.
    /// - Parameter level: default info; failures are logged as warnings at least.
    public init(level: Logger.Level = .info, logger: Logger = Logger(label: "llmgine.bus")) {
        self.level = level
        self.logger = logger
    }

    /// Logs around a command.
    public func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        let metadata: Logger.Metadata = [
            "command": "\(call.commandType)", "id": "\(call.context.id)", "session": "\(call.context.session)",
            "attempt": "\(call.context.attempt)",
        ]
        return try await logged("command", metadata, next)
    }

    /// Logs around an event.
    public func processEvent(_ call: EventCall, next: @Sendable () async throws -> Void) async throws {
        let metadata: Logger.Metadata = [
            "event": "\(call.eventType ?? "bytes")", "id": "\(call.context.id)", "handler": "\(call.handler)",
            "session": "\(call.context.session)", "attempt": "\(call.context.attempt)",
        ]
        _ = try await logged("event", metadata) {
            try await next()
            return nil
        }
    }

    private func logged(_ what: String, _ metadata: Logger.Metadata, _ next: () async throws -> CommandValue) async throws -> CommandValue {
        logger.log(level: level, "\(what) started", metadata: metadata)
        let start = ContinuousClock.now
        do {
            let value = try await next()
            logger.log(level: level, "\(what) finished", metadata: metadata.merging(["took": "\(ContinuousClock.now - start)"]) { $1 })
            return value
        } catch {
            let notes: Logger.Metadata = ["took": "\(ContinuousClock.now - start)", "error": "\(type(of: error))"]
            logger.log(level: max(level, .warning), "\(what) failed", metadata: metadata.merging(notes) { $1 })
            throw error
        }
    }
}
