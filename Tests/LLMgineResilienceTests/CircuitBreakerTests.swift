import LLMgineCore
import LLMgineResilience
import Testing

/// Fails a breaker until it opens and gives the last change.
private func fail(_ breaker: inout CircuitBreaker, times: Int, at now: Duration) -> CircuitBreaker.Change? {
    var change: CircuitBreaker.Change?
    for _ in 0..<times { change = breaker.failed(breaker.permit, at: now) }
    return change
}

private struct Refused: Error {}

private func probe(_ breaker: inout CircuitBreaker, at now: Duration) throws(Refused) -> CircuitBreaker.Permit {
    guard case .admitted(let permit, _) = breaker.admit(at: now) else { throw Refused() }
    return permit
}

@Suite struct `A circuit breaker` {
    @Test func `opens at the fifth failure within a minute`() {
        var breaker = CircuitBreaker()
        #expect(fail(&breaker, times: 4, at: .seconds(1)) == nil)
        #expect(breaker.isClosed == true)
        #expect(fail(&breaker, times: 1, at: .seconds(59)) == .init(from: .closed, to: .open))
        #expect(breaker.isClosed == false)
        #expect(breaker.admit(at: .seconds(60)) == .refused(retryAfter: .seconds(59)))
    }

    @Test func `forgets failures that slid out of the window`() {
        var breaker = CircuitBreaker()
        for second in 0..<100 { #expect(fail(&breaker, times: 1, at: .seconds(second * 15)) == nil) }
        #expect(breaker.recentFailures(at: .seconds(99 * 15)) == 4)
        #expect(fail(&breaker, times: 1, at: .seconds(99 * 15)) == .init(from: .closed, to: .open))
    }

    @Test func `opens although every other call succeeds`() {
        var breaker = CircuitBreaker()
        for second in 0..<4 {
            #expect(breaker.failed(breaker.permit, at: .seconds(second)) == nil)
            #expect(breaker.succeeded(breaker.permit, at: .seconds(second)) == nil)
        }
        #expect(breaker.failed(breaker.permit, at: .seconds(4)) == .init(from: .closed, to: .open))
    }

    @Test func `lets one probe through after the recovery time and closes after three successes`() throws {
        var breaker = CircuitBreaker(BreakerPolicy(recovery: .milliseconds(500)))
        _ = fail(&breaker, times: 5, at: .zero)
        #expect(breaker.admit(at: .milliseconds(499)) == .refused(retryAfter: .milliseconds(1)))
        guard case .admitted(let first, let change) = breaker.admit(at: .milliseconds(500)) else {
            Issue.record("the first probe was refused")
            return
        }
        #expect(change == .init(from: .open, to: .halfOpen))
        #expect(breaker.admit(at: .milliseconds(500)) == .refused(retryAfter: .milliseconds(500)))
        #expect(breaker.succeeded(first, at: .milliseconds(510)) == nil)
        let second = try probe(&breaker, at: .milliseconds(511))
        #expect(breaker.succeeded(second, at: .milliseconds(512)) == nil)
        let third = try probe(&breaker, at: .milliseconds(513))
        #expect(breaker.succeeded(third, at: .milliseconds(514)) == .init(from: .halfOpen, to: .closed))
        #expect(breaker.isClosed == true)
        #expect(breaker.recentFailures(at: .milliseconds(514)) == 0)
    }

    @Test func `opens again when a probe fails`() throws {
        var breaker = CircuitBreaker(BreakerPolicy(recovery: .seconds(1)))
        _ = fail(&breaker, times: 5, at: .zero)
        let probe = try probe(&breaker, at: .seconds(1))
        #expect(breaker.failed(probe, at: .seconds(2)) == .init(from: .halfOpen, to: .open))
        #expect(breaker.admit(at: .seconds(2)) == .refused(retryAfter: .seconds(1)))
    }

    @Test func `does not count an outcome of a call from before the change`() throws {
        var breaker = CircuitBreaker(BreakerPolicy(recovery: .seconds(1), successThreshold: 1))
        let old = breaker.permit
        _ = fail(&breaker, times: 5, at: .zero)
        let probe = try probe(&breaker, at: .seconds(1))
        #expect(breaker.failed(old, at: .seconds(1)) == nil)
        #expect(breaker.succeeded(old, at: .seconds(1)) == nil)
        #expect(breaker.state == .halfOpen)
        #expect(breaker.succeeded(probe, at: .seconds(1)) == .init(from: .halfOpen, to: .closed))
        #expect(breaker.failed(probe, at: .seconds(1)) == nil)
    }

    @Test func `gives the place of an abandoned probe to another`() throws {
        var breaker = CircuitBreaker(BreakerPolicy(recovery: .seconds(1)))
        _ = fail(&breaker, times: 5, at: .zero)
        let first = try probe(&breaker, at: .seconds(1))
        breaker.abandoned(first)
        _ = try probe(&breaker, at: .seconds(1))
    }

    @Test func `tries another probe when one never comes back`() throws {
        var breaker = CircuitBreaker(BreakerPolicy(recovery: .seconds(1)))
        _ = fail(&breaker, times: 5, at: .zero)
        _ = try probe(&breaker, at: .seconds(1))
        #expect(throws: Refused.self) { try probe(&breaker, at: .milliseconds(1999)) }
        _ = try probe(&breaker, at: .seconds(2))
        #expect(throws: Refused.self) { try probe(&breaker, at: .seconds(2)) }
    }

    @Test(arguments: [0, -1, Int.min]) func `takes numbers that were set out of range for the nearest allowed ones`(number: Int) throws {
        var policy = BreakerPolicy()
        policy.failureThreshold = number
        policy.window = .seconds(-1)
        policy.recovery = .seconds(-1)
        policy.successThreshold = number
        policy.maximumProbes = number
        let allowed = BreakerPolicy(failureThreshold: 1, window: .zero, recovery: .zero, successThreshold: 1, maximumProbes: 1)
        #expect(CircuitBreaker(policy).policy == allowed)
        policy.failureThreshold = .max
        policy.window = .seconds(60)
        #expect(CircuitBreaker(policy).policy.failureThreshold == 1000)
        policy.failureThreshold = number
        var breaker = CircuitBreaker(policy)
        #expect(fail(&breaker, times: 1, at: .seconds(1)) == .init(from: .closed, to: .open))
        let permit = try probe(&breaker, at: .seconds(1))
        #expect(breaker.succeeded(permit, at: .seconds(1)) == .init(from: .halfOpen, to: .closed))
    }

    @Test func `admits as many probes at once as the policy says`() {
        var breaker = CircuitBreaker(BreakerPolicy(recovery: .seconds(1), maximumProbes: 2))
        _ = fail(&breaker, times: 5, at: .zero)
        var admitted = 0
        for _ in 0..<50 { admitted += (try? probe(&breaker, at: .seconds(1))) == nil ? 0 : 1 }
        #expect(admitted == 2)
    }
}
