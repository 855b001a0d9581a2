import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

import struct NIOCore.ByteBuffer

extension CommandRun {
    /// Puts a command that failed for good into the dead letters, without waiting for anything.
    ///
    /// Not one that nobody has a handler for, that its caller gave up, or that came after the end of the bus: trying it again says nothing new.
    /// One that came out of the dead letters always goes back there: no caller has its result.
    func keep(_ error: LLMgineError, after attempts: Int, since began: Duration, trace: TraceContext?) {
        let saysNothing = attempts == 0 || [.noHandler, .cancelled, .stopped].contains(error.code)
        guard trial != nil || !saysNothing else { return }
        guard bus.configuration.resilience.deadLetterCapacity > 0 else { return }
        var content = Message(
            topic: C.topic, payload: ByteBuffer(), eventType: C.commandType, session: options.session, headers: options.headers,
            trace: trace)
        var encodingError: LLMgineError?
        do { try command.encode(into: &content.payload) } catch {
            content.payload.clear()
            encodingError = LLMgineError(.badPayload, "a command of type \(C.commandType) does not encode", cause: error)
        }
        bus.deadLetters.add(
            message: MessageID(node: bus.identity.node, incarnation: bus.identity.incarnation, sequence: number), command: id,
            content: content, subscription: C.topic.text, error: error, encodingError: encodingError, attempts: attempts,
            firstAttempt: trial?.letter.firstAttempt ?? began, lastAttempt: SystemClock.sinceEpoch())
        observe("DeadLettered", [.init("attempts", "\(attempts)"), .init("error", error.code.rawValue)])
        bus.services.announcer.announce(DeadLetterCommandEvent.topic, in: options.session) {
            .deadLettered(
                DeadLetterCommandEvent(
                    id: id, commandType: C.commandType, code: error.code.rawValue, detail: error.detail, attempts: attempts))
        }
    }
}

extension MessageBus {
    /// Executes a command out of the dead letters once more, if this node has a handler that can read it. Fails again into a new letter.
    func executeAgain(_ letter: DeadLetter, _ token: DeliveryToken) -> Bool {
        guard lifecycle.load(ordering: .relaxed) == Lifecycle.running.rawValue, letter.encodingError == nil,
            let type = letter.content.eventType, let handler = commandHandler(type, in: letter.content.session),
            let command = try? handler.decode(letter.content.payload)  // unreadable: the letter stays
        else { return false }
        // Unstructured because nobody waits for the result.
        Task {
            await executeAgain(command, Trial(letter))
            token.settle()
        }
        return true
    }

    private func executeAgain<C: Command>(_ command: C, _ trial: Trial) async {
        let content = trial.letter.content
        let options = CommandOptions(session: content.session, headers: content.headers, trace: content.trace)
        _ = await CommandRun(command, number: trial.letter.message.sequence, options: options, bus: self, trial: trial).execute()
    }
}
