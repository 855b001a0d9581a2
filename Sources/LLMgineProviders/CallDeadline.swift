package import LLMgineLLM

/// The time that one call has, measured on a clock that tests can turn by hand.
package struct CallDeadline: Sendable {
    private let clock: any Clock<Duration>
    private let timeout: Duration?
    private let elapsed: @Sendable () -> Duration

    /// Starts the time of a call now; without a timeout it never ends.
    package init(timeout: Duration?, clock: any Clock<Duration>) {
        self.clock = clock
        self.timeout = timeout
        self.elapsed = Self.stopwatch(clock)
    }

    private static func stopwatch<C: Clock>(_ clock: C) -> @Sendable () -> Duration where C.Duration == Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }

    /// What is left, negative when it is over, nil when it never ends.
    package var remaining: Duration? { timeout.map { $0 - elapsed() } }

    private var exceeded: LLMError { LLMError(.deadlineExceeded, "the call took longer than its \(timeout ?? .zero)") }

    /// Waits, and no longer than the call has.
    /// - Throws: `deadlineExceeded` once the time of the call is over, `cancelled` when the task is.
    package func sleep(for duration: Duration) async throws(LLMError) {
        let allowed = remaining.map { min($0, duration) } ?? duration
        do {
            try await clock.sleep(for: max(allowed, .zero))
        } catch {
            throw LLMError(.cancelled, "the caller gave up")
        }
        if allowed < duration { throw exceeded }
    }

    /// Waits until the caller gives up or the time of the call is over.
    package func sleepForever() async throws(LLMError) {
        while true { try await sleep(for: .seconds(86_400)) }
    }

    /// Runs the operation, and cancels it when the time of the call is over.
    /// - Throws: `deadlineExceeded` then, `cancelled` when the task is, and what the operation throws.
    package func limit<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws(LLMError) -> Value
    ) async throws(LLMError) -> Value {
        try await race(operation, for: remaining, late: exceeded)
    }

    /// Runs the operation for at most the duration, and gives its value or nil.
    package func attempt<Value: Sendable>(
        for duration: Duration, _ operation: @escaping @Sendable () async throws(LLMError) -> Value
    ) async -> Value? {
        try? await race(operation, for: duration, late: exceeded)
    }

    private func race<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws(LLMError) -> Value, for duration: Duration?, late: LLMError
    ) async throws(LLMError) -> Value {
        guard let duration else { return try await operation() }
        guard duration > .zero else { throw late }
        let clock = clock
        let result = await withTaskGroup(of: Result<Value, LLMError>.self) { group in
            group.addTask {
                do throws(LLMError) { return .success(try await operation()) } catch { return .failure(error) }
            }
            group.addTask {
                do { try await clock.sleep(for: duration) } catch { return .failure(LLMError(.cancelled, "the caller gave up")) }
                return .failure(late)
            }
            defer { group.cancelAll() }
            return await group.next() ?? .failure(late)
        }
        return try result.get()
    }
}
