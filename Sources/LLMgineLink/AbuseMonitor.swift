package import LLMgineWire

/// Notices a peer that sends more control frames than a sane one can.
///
/// Frames that carry messages are bounded by credit; all others cost the peer nothing, so each class of them has a rate. Every frame adds
/// the time that it stands for at that rate to a debt, which time pays off. The debt may reach ten seconds: so much can pile up in the
/// socket while we are held up, since a peer gives us up after ten.
package struct AbuseMonitor: Sendable, Hashable {
    /// What is counted together.
    package enum Class: Int, Sendable, Hashable, CaseIterable {
        /// PING, PONG, LEAVING, MOVED, RENEW and frames of later versions: a few a second.
        case link
        /// Interest and gossip: deltas are collected for 10 ms, so a peer sends about a hundred a second.
        case interest
        /// INTERN: bounded by 65,536 texts, which may all come at once.
        case intern
        /// Grants, gaps, cancels, errors and the like: one or two per half window of each flow, or one per request. And COMPRESSED, beside what is
        /// in it.
        case flow

        /// The sustained rate, in frames a second.
        package var perSecond: Int64 {
            switch self {
            case .link: 100
            case .interest: 1000
            case .intern: 20_000
            case .flow: 250_000
            }
        }

        /// The class of a frame, nil for one that carries messages or ends the link.
        package init?(_ frame: Frame) {
            switch frame {
            case .ping, .pong, .leaving, .moved, .renew, .unknown: self = .link
            case .interest, .interestAck, .interestWanted, .gossip: self = .interest
            case .intern: self = .intern
            case .grant, .blocked, .gap, .ack, .drain, .drained, .replyError, .replyCredit, .cancel, .compressed: self = .flow
            case .data, .fragment, .request, .reply, .callPart, .hello, .reject, .goodbye: return nil
            }
        }
    }

    /// How far ahead of its rate a class may get.
    package static let patience: Duration = .seconds(10)

    private struct Debt: Sendable, Hashable {
        var owed: Int64 = 0  // nanoseconds
        var asOf: Duration = .zero
    }

    private var debts = [Debt](repeating: Debt(), count: Class.allCases.count)

    /// Owes nothing.
    package init() {}

    /// Counts a frame. False: the peer is past what is allowed.
    package mutating func admits(_ class: Class, at now: Duration) -> Bool {
        var debt = debts[`class`.rawValue]
        let patience = AbuseMonitor.patience.nanoseconds
        if now > debt.asOf {
            debt.owed = max(0, debt.owed - min(now - debt.asOf, AbuseMonitor.patience).nanoseconds)
            debt.asOf = now
        }
        debt.owed = min(debt.owed + 1_000_000_000 / `class`.perSecond, patience + 1)
        debts[`class`.rawValue] = debt
        return debt.owed <= patience
    }
}

extension Duration {
    /// Whole nanoseconds of a time of at most ten seconds.
    fileprivate var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
