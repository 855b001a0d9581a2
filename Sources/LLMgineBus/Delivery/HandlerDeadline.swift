import LLMgineCore

/// Ends the wait for a handler that does not return in time.
struct HandlerDeadline: Sendable {
    let limit: Duration
    let handler: String
    let subscription: UInt32
    let timers: TimerQueue

    /// The handler, called in a task of its own, which is cancelled at the deadline and left behind if it does not listen.
    func around<Value: Sendable>(
        _ call: @escaping @Sendable (Value, EventContext) async throws -> Void
    ) -> @Sendable (Value, EventContext) async throws -> Void {
        { [self] value, context in
            let outcome = Outcome<Result<Void, any Error>>()
            let task = Task {
                do {
                    try await HandlerScope.$current.withValue(subscription) { try await call(value, context) }
                    outcome.settle(.success(()))
                } catch {
                    outcome.settle(.failure(error))
                }
            }
            let timer = timers.schedule(at: .now.advanced(bySaturating: limit)) {
                outcome.settle(.failure(LLMgineError(.handlerFailed, "the handler of \(handler) did not return within \(limit)")))
            }
            let result = await withTaskCancellationHandler {
                await outcome.result()
            } onCancel: {
                task.cancel()
            }
            timers.cancel(timer)
            task.cancel()  // over, or late
            try result.get()
        }
    }
}
