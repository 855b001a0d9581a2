import LLMgineCore
public import LLMgineResilience

/// Calls the handler of a command again when it fails in a way that may go away.
///
/// The bus does so by itself, over the circuit breaker and on other nodes, by ``BusResilience/retry``: this is for a bus on which that is switched off. Where
/// both are on, the numbers of calls multiply. Events are passed on: their order is kept by the retries of the bus.
public struct RetryMiddleware: HandlerMiddleware {
    /// How often and how soon.
    public let policy: RetryPolicy

    /// Retries by the policy: by default three times, after 0.1 s, 0.2 s and 0.4 s, without jitter.
    public init(policy: RetryPolicy = RetryPolicy(hasJitter: false)) { self.policy = policy }

    /// Calls the handler until it succeeds, it is hopeless, or the command's deadline is too near for another attempt.
    public func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        var attempt = 1
        while true {
            do { return try await next() } catch {
                let decision = policy.decide(
                    afterAttempt: attempt, error: error, random: Double.random(in: 0..<1), remaining: call.context.deadline - .now)
                guard case .retry(let delay) = decision, !Task.isCancelled else { throw error }
                try await Task.sleep(for: min(delay, .horizon), tolerance: .zero)
                attempt += 1
            }
        }
    }
}
