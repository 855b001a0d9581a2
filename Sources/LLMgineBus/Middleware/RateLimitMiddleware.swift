import LLMgineCore
import Synchronization

/// Spreads the commands of each type out in time: at most so many a second are begun, the others wait for their turn.
///
/// A caller takes the next free moment under a short lock and waits for it outside, so types do not wait for each other. One whose deadline comes first
/// fails at once, with `deadlineExceeded`. Events are passed on.
public final class RateLimitMiddleware: HandlerMiddleware {
    /// Commands of one type that are begun in a second. Default 10.
    public let maximumPerSecond: Double
    private let interval: Duration
    /// The next free moment by type: as many as the program has command types.
    private let turns = Mutex<[String: ContinuousClock.Instant]>([:])

    /// Makes the middleware. - Precondition: the rate is positive.
    public init(maximumPerSecond: Double = 10) {
        precondition(maximumPerSecond > 0, "nothing could ever be executed at a rate of \(maximumPerSecond) a second")
        self.maximumPerSecond = maximumPerSecond
        interval = .seconds(1) * (1 / maximumPerSecond)
    }

    /// Waits for the command's turn.
    public func processCommand(_ call: CommandCall, next: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        let turn = try turns.withLock { turns in
            let turn = max(turns[call.commandType] ?? .now, .now)
            guard turn <= call.context.deadline else {
                throw LLMgineError(.deadlineExceeded, "the rate limit of \(call.commandType) leaves no turn before the deadline")
            }
            turns[call.commandType] = turn + interval
            return turn
        }
        if turn > .now { try await Task.sleep(until: turn, tolerance: .zero, clock: .continuous) }
        return try await next()
    }
}
