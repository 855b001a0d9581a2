import LLMgineCore
import LLMgineResilience
import Testing

private struct Temporary: Error {}
private struct Final: RetryClassifying {
    var isRetryable: Bool { false }
}

@Suite struct `A retry policy` {
    @Test func `doubles the delay up to its cap`() {
        let policy = RetryPolicy(maximumRetries: 10, hasJitter: false)
        #expect(policy.delay(afterAttempt: 1, random: 0) == .milliseconds(100))
        #expect(policy.delay(afterAttempt: 2, random: 0) == .milliseconds(200))
        #expect(policy.delay(afterAttempt: 3, random: 0) == .milliseconds(400))
        #expect(policy.delay(afterAttempt: 8, random: 0) == .seconds(10))
        #expect(policy.delay(afterAttempt: 10, random: 0) == .seconds(10))
        #expect(policy.delay(afterAttempt: 11, random: 0) == nil)
        #expect(policy.delay(afterAttempt: 0, random: 0) == nil)
    }

    @Test func `takes numbers that were set out of range for the nearest allowed ones`() {
        for factor in [-1e30, 0, -Double.infinity, Double.nan] {
            var policy = RetryPolicy(hasJitter: false)
            policy.factor = factor
            #expect(policy.delay(afterAttempt: 3, random: 0) == .milliseconds(100))
        }
        var policy = RetryPolicy(hasJitter: false)
        policy.maximumDelay = .seconds(-1)
        #expect(policy.delay(afterAttempt: 1, random: 0) == .zero)
        policy.initialDelay = .seconds(-1)
        #expect(policy.delay(afterAttempt: 1, random: 0) == .zero)
        policy.maximumRetries = -1
        #expect(policy.delay(afterAttempt: 1, random: 0) == nil)
    }

    @Test func `draws the delay from zero to its full length`() {
        let policy = RetryPolicy()
        #expect(policy.delay(afterAttempt: 2, random: 0) == .zero)
        #expect(policy.delay(afterAttempt: 2, random: 0.5) == .milliseconds(100))
        #expect(policy.delay(afterAttempt: 4, random: 0.5) == nil)
    }

    @Test func `gives up when it is over, hopeless or too late`() {
        let policy = RetryPolicy()
        #expect(policy.decide(afterAttempt: 1, error: Temporary(), random: 0.5) == .retry(after: .milliseconds(50)))
        #expect(policy.decide(afterAttempt: 4, error: Temporary(), random: 0.5) == .giveUp(.exhausted))
        #expect(policy.decide(afterAttempt: 1, error: Final(), random: 0.5) == .giveUp(.notRetryable))
        #expect(policy.decide(afterAttempt: 1, error: CancellationError(), random: 0.5) == .giveUp(.notRetryable))
        #expect(policy.decide(afterAttempt: 1, error: Temporary(), random: 0.5, remaining: .milliseconds(50)) == .giveUp(.pastDeadline))
        #expect(RetryPolicy.never.decide(afterAttempt: 1, error: Temporary(), random: 0.5) == .giveUp(.exhausted))
        #expect(policy.decide(afterAttempt: 1, error: Final(), random: 0.5, isRetryable: { _ in true }) == .retry(after: .milliseconds(50)))
    }

    @Test(arguments: [
        (LLMgineError(.noHandler, ""), false), (LLMgineError(.badPayload, ""), false), (LLMgineError(.peerLost, ""), false),
        (LLMgineError(.handlerFailed, "", cause: Temporary()), true), (LLMgineError(.handlerFailed, "", cause: Final()), false),
        (LLMgineError(.noCapacity, ""), true), (LLMgineError(.cancelled, ""), false),
    ])
    func `knows which of our errors may go away`(error: LLMgineError, expected: Bool) {
        #expect(RetryDecision.isRetryable(error) == expected)
    }
}

@Suite struct `A token bucket` {
    @Test func `lets a burst through and then its rate`() {
        var bucket = TokenBucket(rate: 10, burst: 2, at: .zero)
        #expect(bucket.take(at: .zero) == true)
        #expect(bucket.take(at: .zero) == true)
        #expect(bucket.take(at: .zero) == false)
        #expect(bucket.wait(at: .zero) == .milliseconds(100))
        #expect(bucket.take(at: .milliseconds(99)) == false)
        #expect(bucket.take(at: .milliseconds(101)) == true)
        #expect(bucket.wait(for: 3, at: .milliseconds(101)) == nil)
        #expect(bucket.take(2, at: .seconds(100)) == true)
        #expect(bucket.take(at: .seconds(100)) == false)
    }

    @Test func `does not fill when time stands still or runs back`() {
        var bucket = TokenBucket(rate: 1000, burst: 1, at: .seconds(5))
        #expect(bucket.take(at: .seconds(5)) == true)
        #expect(bucket.take(at: .seconds(4)) == false)
        #expect(bucket.take(at: .seconds(5)) == false)
    }
}
