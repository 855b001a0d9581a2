import LLMgineCore
import LLMgineObservability
import Synchronization

/// The requester's end of one request: replies wait here, at most as many as were granted room.
final class OutgoingCall: Sendable {
    let id: UInt64
    let message: Message
    let options: RequestOptions
    let deadline: ContinuousClock.Instant
    private let desk: RequestDesk
    private let span: OpenSpan?
    private let state: Mutex<State>

    fileprivate struct State {
        var replies: [Message] = []
        var head = 0
        var isComplete = false
        var failure: LLMgineError?
        var reader: CheckedContinuation<Void, Never>?
        var responder: NodeID?
        /// How room for replies is granted where the request is now.
        var grant: (@Sendable (UInt64) -> Void)?
        var taken: UInt64 = 0
        var granted: UInt64
        var received: UInt64 = 0
    }

    init(id: UInt64, message: Message, options: RequestOptions, span: OpenSpan?, desk: RequestDesk) {
        self.span = span
        self.id = id
        self.message = message
        self.options = options
        self.deadline = ContinuousClock.now.advanced(bySaturating: options.deadline)
        self.desk = desk
        self.state = Mutex(State(granted: UInt64(clamping: max(1, options.replyWindow))))
    }

    var responder: NodeID? { state.withLock { $0.responder } }
    var window: UInt64 { UInt64(clamping: max(1, options.replyWindow)) }

    /// The request goes to this node; room for replies is granted there.
    func dispatched(to node: NodeID, grant: @escaping @Sendable (UInt64) -> Void) {
        state.withLock { state in
            state.responder = node
            state.grant = grant
        }
    }

    /// One reply came. - Returns: false if it came without room, which only a broken peer sends.
    func received(_ reply: Message?, isLast: Bool) -> Bool {
        let (reader, withinRoom, isEnd) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Bool, Bool) in
            if let reply {
                state.received += 1
                guard state.received <= state.granted else { return (nil, false, false) }
                state.replies.append(reply)
            }
            let isEnd = isLast && !state.isComplete && state.failure == nil
            if isLast { state.isComplete = true }
            return (state.takeReader(), true, isEnd)
        }
        if isEnd { endSpan(nil) }
        reader?.resume()
        return withinRoom
    }

    /// The request is over without (more of) an answer. What came before can still be read.
    func failed(_ error: LLMgineError) {
        let (reader, isEnd) = state.withLock { state -> (CheckedContinuation<Void, Never>?, Bool) in
            guard !state.isComplete, state.failure == nil else { return (nil, false) }
            state.failure = error
            return (state.takeReader(), true)
        }
        if isEnd { endSpan(error) }
        reader?.resume()
    }

    private func endSpan(_ error: LLMgineError?) {
        guard let span else { return }
        span.end(on: desk.tracer, error: error, notes: responder.map { [.peer($0)] } ?? [])
    }

    func next() async throws(LLMgineError) -> Message? {
        while true {
            if let outcome = take() { return try outcome.get() }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let mustWait = state.withLock { state in
                        guard state.head == state.replies.count, !state.isComplete, state.failure == nil, state.reader == nil else {
                            return false
                        }
                        state.reader = continuation
                        return true
                    }
                    if !mustWait { continuation.resume() }
                }
            } onCancel: {
                desk.cancel(self)
            }
        }
    }

    /// What can be said without waiting.
    private func take() -> Result<Message?, LLMgineError>? {
        let (outcome, grant): (Result<Message?, LLMgineError>?, (@Sendable () -> Void)?) = state.withLock { state in
            guard state.head < state.replies.count else {
                if let failure = state.failure { return (.failure(failure), nil) }
                return (state.isComplete ? .success(nil) : nil, nil)
            }
            let reply = state.replies[state.head]
            state.head += 1
            if state.head == state.replies.count {
                state.replies.removeAll(keepingCapacity: true)
                state.head = 0
            }
            state.taken += 1
            let limit = state.taken + window
            guard !state.isComplete, limit - state.granted >= max(1, window / 2), let grant = state.grant else {
                return (.success(reply), nil)
            }
            state.granted = limit
            return (.success(reply), { grant(limit) })
        }
        grant?()
        return outcome
    }

    deinit {
        // Nobody can read the answer any more.
        failed(LLMgineError(.cancelled, "the answer was not read to its end"))
        desk.abandoned(id)
    }
}

extension OutgoingCall.State {
    fileprivate mutating func takeReader() -> CheckedContinuation<Void, Never>? {
        let taken = reader
        reader = nil
        return taken
    }
}
