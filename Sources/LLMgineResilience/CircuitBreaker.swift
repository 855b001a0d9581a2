/// Keeps calls away from a handler that keeps failing, and finds out when it works again.
///
/// Failures are counted in a sliding window and a success takes none of them back: a handler that fails every other time opens its breaker
/// as well. The memory is that of the last `failureThreshold` failures, whatever happens.
///
/// While the breaker is closed a success changes nothing, so the fast path is one stored flag: if ``isClosed``, take ``permit`` and call; tell
/// the breaker only of failures.
package struct CircuitBreaker: ~Copyable, Sendable {
    /// Ties the outcome of a call to the state that let it through: an outcome that comes after a change of state says nothing about the new one.
    package struct Permit: Sendable, Hashable {
        fileprivate let epoch: UInt64
    }

    package struct Change: Sendable, Hashable {
        package let from: BreakerState
        package let to: BreakerState

        package init(from: BreakerState, to: BreakerState) {
            self.from = from
            self.to = to
        }
    }

    package enum Admission: Sendable, Hashable {
        /// Call the handler, then say how it went. The change tells that this call is the first probe.
        case admitted(Permit, Change?)
        /// Do not call it. Worth another try after this long.
        case refused(retryAfter: Duration)
    }

    private enum Phase {
        case closed
        case open(until: Duration)
        case halfOpen(probes: Int, successes: Int, lastProbe: Duration)
    }

    /// Its numbers are in range.
    package let policy: BreakerPolicy
    /// Whether every call is let through.
    package private(set) var isClosed = true
    private var phase = Phase.closed
    private var epoch: UInt64 = 0
    /// The times of the last failures, a ring of `failureThreshold`.
    private var failures: [Duration] = []
    private var oldest = 0

    package init(_ policy: BreakerPolicy = BreakerPolicy()) { self.policy = policy.sound }

    /// The permit of a call made while ``isClosed``.
    package var permit: Permit { Permit(epoch: epoch) }

    package var state: BreakerState {
        switch phase {
        case .closed: .closed
        case .open: .open
        case .halfOpen: .halfOpen
        }
    }

    /// How many failures of the current window are remembered, at most the threshold.
    package func recentFailures(at now: Duration) -> Int { failures.count { now - $0 < policy.window } }

    /// Someone wants to call the handler.
    package mutating func admit(at now: Duration) -> Admission {
        switch phase {
        case .closed: return .admitted(permit, nil)
        case .open(let until) where now < until: return .refused(retryAfter: until - now)
        case .open:
            let change = move(to: .halfOpen(probes: 1, successes: 0, lastProbe: now))
            return .admitted(permit, change)
        case .halfOpen(let probes, let successes, let lastProbe):
            if probes < policy.maximumProbes {
                phase = .halfOpen(probes: probes + 1, successes: successes, lastProbe: now)
                return .admitted(permit, nil)
            }
            // A probe that never comes back must not keep the breaker half open for ever: after another recovery time one more may go.
            let patience = lastProbe + policy.recovery
            guard now >= patience, policy.recovery > .zero else { return .refused(retryAfter: max(patience - now, .milliseconds(1))) }
            phase = .halfOpen(probes: probes, successes: successes, lastProbe: now)
            return .admitted(permit, nil)
        }
    }

    /// A call went well. - Returns: the change of state, if this was the success that closes the breaker.
    package mutating func succeeded(_ permit: Permit, at now: Duration) -> Change? {
        guard permit.epoch == epoch, case .halfOpen(let probes, let successes, let lastProbe) = phase else { return nil }
        guard successes + 1 < policy.successThreshold else {
            failures.removeAll(keepingCapacity: true)
            oldest = 0
            return move(to: .closed)
        }
        phase = .halfOpen(probes: max(0, probes - 1), successes: successes + 1, lastProbe: lastProbe)
        return nil
    }

    /// A call failed. - Returns: the change of state, if this was the failure that opens the breaker.
    package mutating func failed(_ permit: Permit, at now: Duration) -> Change? {
        guard permit.epoch == epoch else { return nil }
        switch phase {
        case .closed:
            remember(now)
            guard recentFailures(at: now) >= policy.failureThreshold else { return nil }
            return move(to: .open(until: now + policy.recovery))
        case .halfOpen: return move(to: .open(until: now + policy.recovery))
        case .open: return nil
        }
    }

    /// A call ended without saying anything about the handler, for example because it was cancelled. Gives the probe's place back.
    package mutating func abandoned(_ permit: Permit) {
        guard permit.epoch == epoch, case .halfOpen(let probes, let successes, let lastProbe) = phase else { return }
        phase = .halfOpen(probes: max(0, probes - 1), successes: successes, lastProbe: lastProbe)
    }

    private mutating func remember(_ now: Duration) {
        if failures.count < policy.failureThreshold {
            failures.append(now)
        } else {
            failures[oldest] = now
            oldest = (oldest + 1) % failures.count
        }
    }

    private mutating func move(to next: Phase) -> Change {
        let before = state
        phase = next
        epoch += 1
        isClosed = if case .closed = next { true } else { false }
        return Change(from: before, to: state)
    }
}
