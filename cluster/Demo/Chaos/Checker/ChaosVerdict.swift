/// What became of all events of a run.
package struct ChaosVerdict: Sendable, Equatable {
    package var published = 0
    /// Published events, each counted once for each of the subscriptions that it matched.
    package var matched = 0
    package var handled = 0
    /// Gap markers spoke of so many.
    package var evicted = 0
    package var rejected = 0
    package var deadLettered = 0
    package var lostWithLinks = 0
    /// Published while a link came or went, so that nobody can say over which one it was to go.
    package var unclear = 0
    package var lostSilently = 0
    package var orderViolations = 0
    package var duplicates = 0
    package var links = 0
    package var lives = 0
    package var cleanEnds = 0
    /// Ends of links that went on with other certificates.
    package var renewals = 0
    /// What was to be delivered at least once, by strength.
    package var kept = KeptAccount()
    package var durable = KeptAccount()
    /// Durable publishes that were refused, and of these, those whose event was handled all the same.
    package var refused = 0
    package var refusedButHandled = 0
    package var requests = RequestAccount()
    /// How often events crossed a restored link, each way counted by itself, and how often the next trouble came first.
    package var resumes = 0
    package var resumesInterrupted = 0
    /// From the restoration of a link to the first event that crossed it, the longest, in microseconds.
    package var longestResume = 0
    package var complaints: [String] = []

    package init() {}

    package var isWell: Bool {
        lostSilently == 0 && orderViolations == 0 && duplicates == 0 && complaints.isEmpty && handled > 0 && kept.handled > 0
            && durable.handled > 0 && requests.answered > 0
    }

    private static let maximumComplaints = 20

    package mutating func complain(_ text: String) {
        if complaints.count < ChaosVerdict.maximumComplaints { complaints.append(text) }
    }
}

/// What became of the events of one strength.
///
/// accepted = handled + dead letters + lost with their publisher + lost silently
package struct KeptAccount: Sendable, Equatable {
    /// Their publish returned, and the receipt did not say that they were rejected.
    package var accepted = 0
    /// Those among them that a handler has had.
    package var handled = 0
    package var deadLettered = 0
    /// Their publisher was killed before they were acknowledged. Durable events are not lost with their publisher.
    package var lostWithPublisher = 0
    package var lostSilently = 0
    package var rejected = 0
    /// Had again by a later life of the subscriber, which is permitted.
    package var redelivered = 0

    package init() {}
}

/// What became of the requests.
///
/// made = answered + failed + cut off
package struct RequestAccount: Sendable, Equatable {
    package var made = 0
    package var answered = 0
    package var failed: [ChaosOutcome: Int] = [:]
    /// Their process was killed before they had an outcome.
    package var cutOff = 0
    /// Those among the failed ones that had two responders and were made during a rolling restart, by a node that was not itself being restarted.
    package var failedInRollingRestart = 0

    package init() {}
}
