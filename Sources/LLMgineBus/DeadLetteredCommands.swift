import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

import struct NIOCore.ByteBuffer

/// Commands that failed for good. Their callers have the result; the letter is for whoever puts things right later.
extension MessageBus {
    /// Nothing here waits: the result of a command is there whatever becomes of its letter.
    func bury<C: Command>(_ command: C, _ result: CommandResult, _ options: CommandOptions, of letter: DeadLetter?, after elapsed: Duration)
    {
        let now = SystemClock.sinceEpoch()
        guard deadLetters.capacity > 0, let error = result.error else { return }
        var content = Message(
            topic: C.topic, payload: ByteBuffer(), eventType: C.commandType, session: options.session, headers: options.headers,
            trace: options.trace)
        var encodingError: LLMgineError?
        do { try command.encode(into: &content.payload) } catch {
            content.payload.clear()
            encodingError = LLMgineError(.badPayload, "the command does not encode", cause: error)
        }
        let number = result.id.text.split(separator: "/").last.flatMap { UInt64($0.dropFirst()) } ?? 0
        deadLetters.add(
            message: letter?.message ?? MessageID(node: identity.node, incarnation: identity.incarnation, sequence: number),
            command: result.id, content: content, subscription: C.topic.text, error: error, encodingError: encodingError,
            attempts: result.attempts + (letter?.attempts ?? 0), firstAttempt: letter?.firstAttempt ?? now - elapsed,
            lastAttempt: now)
        observability.observe(
            ObservedEvent(
                eventID: result.id.text, eventType: "DeadLettered", timestamp: observability.tracer.clock.now(), session: options.session,
                topic: C.topic, metadata: [.init("handler", C.topic.text), .init("error", error.code.rawValue)]))
    }

    /// Executes a command out of the dead letters by the handler of this node, under its own name. - Returns: false without a handler.
    func executeAgain(_ id: CommandID, _ letter: DeadLetter) -> Bool {
        guard isRunning, letter.encodingError == nil, let type = letter.content.eventType,
            let handler = registry.withLock({ $0.commandHandlers[type] })
        else { return false }
        Task {
            do { _ = try await handler.executeAgain(letter, id, self) } catch {
                // The bytes are no such command.
                deadLetters.add(
                    message: letter.message, command: id, content: letter.content, subscription: letter.subscription,
                    error: LLMgineError(.badPayload, "the payload is not a \(type)", cause: error), encodingError: nil,
                    attempts: letter.attempts, firstAttempt: letter.firstAttempt, lastAttempt: SystemClock.sinceEpoch())
            }
        }
        return true
    }
}

extension CommandResult {
    /// Whether somebody may want to execute the command once more: a handler was asked and failed, and the caller has not given up.
    var isWorthALetter: Bool {
        guard let error, attempts > 0 else { return false }
        return ![.cancelled, .stopped, .noHandler, .noResponders].contains(error.code)
    }
}
