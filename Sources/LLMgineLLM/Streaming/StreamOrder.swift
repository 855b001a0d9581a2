/// Holds what a provider delivers to the rules of a stream: numbered, `start` first, one terminal, nothing after it.
package struct StreamOrder: Sendable {
    private enum State: Hashable {
        /// Nothing yet. Goes to `running` with `start`, to `closed` otherwise.
        case fresh
        /// Goes to `closed` with the terminal.
        case running
        case closed
    }

    private var state = State.fresh
    private var sequence = 0
    private var deliveredBytes = 0
    private var failure: LLMError?

    package init() {}

    /// Whether the source is of no further use.
    package var isClosed: Bool { state == .closed }

    /// Takes what the source delivered, nil at its end, and returns what the consumer may see. A failure waits in ``takeFailure()`` until that is seen.
    package mutating func admit(_ kinds: [LLMStreamEvent.Kind]?) -> [LLMStreamEvent] {
        guard let kinds else {
            if state != .closed { close(LLMError(.truncatedStream, "the answer stopped without its end")) }
            return []
        }
        var admitted: [LLMStreamEvent] = []
        admitted.reserveCapacity(kinds.count)
        for kind in kinds where state != .closed {
            guard isExpected(kind) else { break }
            admitted.append(LLMStreamEvent(sequence: sequence, kind: kind))
            sequence += 1
            deliveredBytes += kind.deliveredBytes
        }
        return admitted
    }

    /// The source threw. Returns what the consumer is to be told.
    package mutating func failed(_ error: LLMError) -> LLMError {
        close(error)
        return takeFailure() ?? error
    }

    /// The failure that closed the stream, once.
    package mutating func takeFailure() -> LLMError? { failure.take() }

    private mutating func isExpected(_ kind: LLMStreamEvent.Kind) -> Bool {
        switch (kind, state) {
        case (.error(let error), _):
            close(error)
            return false
        case (.start, .fresh):
            state = .running
            return true
        case (.start, .running):
            close(LLMError(.protocolViolation, "the answer began twice"))
            return false
        case (_, .fresh):
            close(LLMError(.protocolViolation, "the answer did not begin with its start"))
            return false
        case (.finish, _):
            state = .closed
            return true
        case (_, _): return true
        }
    }

    private mutating func close(_ error: LLMError) {
        var error = error
        error.deliveredBytes = max(error.deliveredBytes, deliveredBytes)
        failure = error
        state = .closed
    }
}
