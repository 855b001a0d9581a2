import LLMgineLLM
import Testing

@Suite struct `A failed attempt` {
    let policy = LLMRetryPolicy()

    @Test func `is repeated twice, after waits that double`() {
        let error = LLMError(.providerInternal, "")
        #expect(policy.delay(after: error, attempt: 0, remaining: nil, jitter: 0) == .milliseconds(500))
        #expect(policy.delay(after: error, attempt: 1, remaining: nil, jitter: 0) == .seconds(1))
        #expect(policy.delay(after: error, attempt: 2, remaining: nil, jitter: 0) == nil)
        #expect(LLMRetryPolicy(maximumRetries: 99).delay(after: error, attempt: 50, remaining: nil, jitter: 0) == .seconds(8))
        #expect(policy.delay(after: error, attempt: 0, remaining: nil, jitter: 1) == .milliseconds(375))
    }

    @Test func `is not repeated when that cannot help`() {
        for code in LLMError.Code.allCases where !code.isRetryable {
            #expect(policy.delay(after: LLMError(code, ""), attempt: 0, remaining: nil, jitter: 0) == nil)
        }
        #expect(policy.delay(after: LLMError(.rateLimited, "", retryable: false), attempt: 0, remaining: nil, jitter: 0) == nil)
    }

    @Test func `waits exactly as long as the vendor asks, within reason and the time left`() {
        let error = LLMError(.rateLimited, "", retryAfter: .seconds(2))
        #expect(policy.delay(after: error, attempt: 0, remaining: .seconds(3), jitter: 0.7) == .seconds(2))
        #expect(policy.delay(after: error, attempt: 0, remaining: .seconds(2), jitter: 0) == nil)
        let long = LLMError(.rateLimited, "", retryAfter: .seconds(121))
        #expect(policy.delay(after: long, attempt: 0, remaining: nil, jitter: 0) == nil)
    }
}
