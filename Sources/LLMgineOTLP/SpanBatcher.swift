/// Decides when spans are sent, in what number, and when a batch is given up.
///
/// One export is in flight at a time. A batch goes when it is full, or when the schedule says so, and then everything that
/// waited at that moment goes. The spans themselves wait in a bounded queue elsewhere, which is told what to do with
/// ``Step``; while a batch rests between two attempts that queue fills and drops, so nobody waits for a receiver.
///
/// ```
/// idle ── export ─► sending ── delivered, refused, given up ─► idle
///                     │  ▲
///         unavailable ▼  │ resend
///                   resting
/// ```
package struct SpanBatcher: Sendable {
    /// The bounds, with OpenTelemetry's defaults except for the queue (see `SpanRecorder.defaultCapacity`).
    package struct Limits: Sendable, Hashable {
        /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`: spans in one request.
        package var batch = 512
        /// `OTEL_BSP_SCHEDULE_DELAY`: how long a span waits for its batch to fill.
        package var scheduleDelay = Duration.seconds(5)
        /// `OTEL_BSP_EXPORT_TIMEOUT`: how long a batch is tried, with all its retries.
        package var exportTimeout = Duration.seconds(30)
        /// `OTEL_EXPORTER_OTLP_TIMEOUT`: how long one attempt may take.
        package var attemptTimeout = Duration.seconds(10)
        /// The first delay between two attempts; it doubles.
        package var retryBase = Duration.milliseconds(500)
        /// The longest delay between two attempts.
        package var retryCap = Duration.seconds(15)

        package init() {}
    }

    /// What to do now.
    package enum Step: Sendable, Hashable {
        /// Nothing, until then or until the queue holds a batch, whichever is first.
        case wait(until: Duration)
        /// Take that many spans and send them; answer with ``answered(_:at:random:)``. Give up the attempt after `timeout`.
        case export(Int, timeout: Duration)
        /// Send the batch at hand again.
        case resend(timeout: Duration)
        /// The work is over; what still waits is lost.
        case stop
    }

    /// What an answer means for the batch at hand.
    package enum Verdict: Sendable, Hashable {
        /// It is done with, for good or bad: let it go.
        case settled
        /// Keep it: it will be sent again.
        case retries
    }

    /// What became of the spans that were taken.
    package struct Counts: Sendable, Hashable {
        package var delivered = 0
        /// Refused one by one in a request that was otherwise taken.
        package var rejected = 0
        /// In requests that will never be taken.
        package var refused = 0
        /// In requests that were tried until their deadline.
        package var abandoned = 0

        package init() {}
    }

    private struct Batch: Hashable {
        var count: Int
        var deadline: Duration
        var retry: RetrySchedule
    }

    private enum Flight: Hashable {
        case none
        case sending(Batch)
        case resting(Batch, until: Duration)
    }

    package let limits: Limits
    package private(set) var counts = Counts()
    private var flight = Flight.none
    /// When the schedule sends next whatever there is.
    private var due: Duration
    /// Spans that were waiting when the schedule, or a flush, last said "send".
    private var owed = 0
    private var stopBy: Duration?
    private var isHopeless = false

    package init(limits: Limits = Limits(), at now: Duration) {
        self.limits = limits
        due = now + limits.scheduleDelay
    }

    /// What to do, with that many spans waiting.
    package mutating func next(queued: Int, at now: Duration) -> Step {
        switch flight {
        case .sending(let batch): return .wait(until: batch.deadline)
        case .resting(let batch, let until):
            // A shutdown does not wait for the retry: one last attempt now.
            guard now >= until || stopBy != nil else { return .wait(until: until) }
            flight = .sending(batch)
            return .resend(timeout: timeout(of: batch, at: now))
        case .none: break
        }
        if let stopBy {
            guard queued > 0, now < stopBy, !isHopeless else { return .stop }
            owed = queued
        } else if now >= due {
            due = now + limits.scheduleDelay
            owed = queued
        }
        owed = min(owed, queued)
        guard queued >= limits.batch || owed > 0 else { return .wait(until: due) }
        let count = min(queued, max(limits.batch, 1))
        owed = max(0, owed - count)
        let deadline = now + limits.exportTimeout
        let batch = Batch(
            count: count, deadline: deadline, retry: RetrySchedule(deadline: deadline, base: limits.retryBase, cap: limits.retryCap))
        flight = .sending(batch)
        return .export(count, timeout: timeout(of: batch, at: now))
    }

    /// The attempt ended. - Parameter random: at least 0 and below 1, for the jitter.
    package mutating func answered(_ outcome: OTLP.Outcome, at now: Duration, random: Double) -> Verdict {
        guard case .sending(var batch) = flight else { return .settled }
        flight = .none
        switch outcome {
        case .delivered(let rejected, _):
            let rejected = min(rejected, batch.count)
            counts.rejected += rejected
            counts.delivered += batch.count - rejected
        case .refused: counts.refused += batch.count
        case .unavailable(_, let retryAfter):
            if stopBy == nil, let until = batch.retry.failed(retryAfter: retryAfter, at: now, random: random) {
                flight = .resting(batch, until: until)
                return .retries
            }
            counts.abandoned += batch.count
            isHopeless = stopBy != nil
        }
        return .settled
    }

    /// Everything that waits now is to go without waiting for the schedule.
    package mutating func flushRequested(queued: Int) { owed = queued }

    /// No more spans will come: what waits goes now, each batch is tried once, and all is over after `limit`.
    package mutating func stopRequested(at now: Duration, within limit: Duration) {
        if stopBy == nil { stopBy = now + limit }
    }

    private func timeout(of batch: Batch, at now: Duration) -> Duration {
        var end = min(batch.deadline, now + limits.attemptTimeout)
        if let stopBy { end = min(end, stopBy) }
        return max(end - now, .milliseconds(1))
    }
}
