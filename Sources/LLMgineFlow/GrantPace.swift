/// Has publishers keep to the rate at which a subscriber grants, while much waits for it.
///
/// It begins when what waits has grown to three quarters of its room, and ends when that is down to a quarter. Between, events are let in at
/// the rate that was measured: exactly so at half of the room, up to a half slower above and a quarter faster below, so that the backlog comes
/// to rest in the middle. Until the first grant the rate is not known, and nothing comes in. When grants fail to come for twice the
/// usual time, the rate falls with the time that passes, and to nothing once that is the deadline of the subscription.
package struct GrantPace: Sendable, Hashable {
    /// Messages a second; nil until it was measured.
    package private(set) var rate: Double?
    private let patience: Duration
    /// Since when it is measured: the last grant, at first the beginning.
    private var measuredFrom: Duration
    /// How many messages the last grant was for.
    private var lastGrant: Double = 0
    /// From when on the next event may come in.
    private var next: Duration

    /// A grant counts for so much of the new rate if it came after this time; less if after less.
    private static let memory = 0.5
    /// A publisher that was late may catch up on so much.
    private static let slack = Duration.milliseconds(5)
    /// Whoever has to wait asks again after so long at most.
    package static let longestRest = Duration.milliseconds(20)
    /// And no sooner than this.
    package static let shortestRest = Duration.milliseconds(1)

    /// Pressure begins. - Parameter patience: after so long without a grant nothing more comes in.
    package init(at now: Duration, patience: Duration) {
        measuredFrom = now
        next = now
        self.patience = patience
    }

    /// The subscriber has granted so many messages more.
    package mutating func granted(_ messages: UInt64, at now: Duration) {
        guard messages > 0 else { return }
        let count = Double(messages)
        let seconds = max((now - measuredFrom).inSeconds, 0.000_001)
        if let rate {
            self.rate = rate + (count / seconds - rate) * (seconds / (seconds + GrantPace.memory))
        } else {
            rate = count / seconds
            next = now
        }
        lastGrant = count
        measuredFrom = now
    }

    /// How long a publisher has to wait before it asks again; nil if its event may come in.
    /// - Parameter filled: the share of the room that is taken, 0 to 1.
    package func rest(at now: Duration, filled: Double) -> Duration? {
        guard interval(at: now, filled: filled) != nil else { return GrantPace.longestRest }
        guard next > now else { return nil }
        return min(max(next - now, GrantPace.shortestRest), GrantPace.longestRest)
    }

    /// An event came in.
    package mutating func admitted(at now: Duration, filled: Double) {
        guard let interval = interval(at: now, filled: filled) else { return }
        next = max(next, now - GrantPace.slack) + interval
    }

    /// The time between two events; nil while nothing may come in.
    private func interval(at now: Duration, filled: Double) -> Duration? {
        guard var rate else { return nil }
        let silence = (now - measuredFrom).inSeconds
        if silence > 2 * lastGrant / rate {
            guard now - measuredFrom < patience else { return nil }
            rate = lastGrant / silence
        }
        return .seconds((0.5 + min(max(filled, 0), 1)) / rate)
    }
}

extension Duration {
    fileprivate var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
