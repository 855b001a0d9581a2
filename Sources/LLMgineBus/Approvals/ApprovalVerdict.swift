import LLMgineCore
import Synchronization

/// How an approval ended, for those who wait for it in this life of the process.
final class ApprovalVerdict: Sendable {
    private let result = Mutex<Result<ApprovalResult, LLMgineError>?>(nil)
    private let completion = Completion()

    /// The first one counts.
    func settle(_ outcome: Result<ApprovalResult, LLMgineError>) {
        result.withLock { if $0 == nil { $0 = outcome } }
        completion.finish()
    }

    /// Waits for it, whatever happens to the waiting task.
    func wait() async throws(LLMgineError) -> ApprovalResult {
        await completion.wait()
        guard let result = result.withLock({ $0 }) else { throw LLMgineError(.stopped, "the approval ended without an outcome") }
        return try result.get()
    }
}
