package import LLMgineCore

/// The subscriber's end of delivery at least once: gives each message to the handler once, and knows what to acknowledge over which link.
///
/// ```
/// new ─ arrived ─► open ─ settled ─► known       open ─ returned ─► new
/// ```
/// A message that is sent again while it is open, because the link broke meanwhile, is not given to the handler a second time; once it is
/// settled, it is acknowledged over every link that brought it. What comes once more over the same link while it is open is acknowledged at once:
/// the first of its kind there still waits.
package struct DeliveryIntake: Sendable {
    /// What to do with a message that came.
    package enum Arrival: Sendable, Hashable {
        case deliver
        /// It is with the handler already; the acknowledgement of what came first over the link will come.
        case underWay
        /// It was settled before, and counts as acknowledged.
        case duplicate
    }

    /// When an acknowledgement is due.
    package enum Due: Sendable, Hashable {
        case now
        /// Within the delay, with what else is settled until then.
        case soon
        /// It is on its way already, or there is none.
        case not
    }

    /// So many settled messages are acknowledged without waiting for more.
    package static let ackMessages = 64
    /// How long a settled message waits for others to be acknowledged with.
    package static let ackDelay = Duration.milliseconds(5)

    private struct Place {
        let link: UInt64
        let priority: Priority
        let ordinal: UInt64
    }

    private var window: DeduplicationWindow
    private var open: [MessageID: [Place]] = [:]
    private var ledgers: [UInt64: [AckLedger]] = [:]
    /// Messages that came again.
    package private(set) var duplicates: UInt64 = 0
    /// Messages that came so late that nobody knows whether they had come before.
    package private(set) var tooOld: UInt64 = 0

    package init(window: DeduplicationWindow) { self.window = window }

    /// Messages that the handler has not settled.
    package var openCount: Int { open.count }

    /// A message came over a link. `due` is about the acknowledgement of a duplicate, or of one that comes again over the same link.
    package mutating func arrived(_ id: MessageID, over link: UInt64, priority: Priority, at now: Duration) -> (Arrival, due: Due) {
        let lane = Int(priority.rawValue)
        let ordinal = ledgers[link, default: Array(repeating: AckLedger(), count: 4)][lane].noteArrival()
        let place = Place(link: link, priority: priority, ordinal: ordinal)
        if let places = open[id] {
            duplicates += 1
            // Its first coming over this link stands for it, and keeps the sender from letting go; a place for each would be memory without
            // credit.
            if places.contains(where: { $0.link == link && $0.priority == priority }) { return (.underWay, settle(place)) }
            open[id] = places.filter { ledgers[$0.link] != nil } + [place]
            return (.underWay, .not)
        }
        switch window.arrived(id, at: now) {
        case .known:
            duplicates += 1
            return (.duplicate, settle(place))
        case .tooOld:
            tooOld += 1
            open[id] = [place]
        case .new: open[id] = [place]
        }
        return (.deliver, .not)
    }

    /// A message came that its sender had no right to publish: there is nothing to wait for.
    package mutating func refused(over link: UInt64, priority: Priority) -> Due {
        let ordinal = ledgers[link, default: Array(repeating: AckLedger(), count: 4)][Int(priority.rawValue)].noteArrival()
        return settle(Place(link: link, priority: priority, ordinal: ordinal))
    }

    /// The handler has processed the message, or it went to the dead letters. - Returns: the links over which that is to be said.
    package mutating func settled(_ id: MessageID) -> [(link: UInt64, due: Due)] {
        (open.removeValue(forKey: id) ?? []).map { ($0.link, settle($0)) }
    }

    /// Nobody will handle the message here: whoever sent it keeps it.
    package mutating func returned(_ id: MessageID) {
        if open.removeValue(forKey: id) != nil { window.forget(id) }
    }

    /// What is to be said over a link now, by class.
    package mutating func takeAcknowledgements(over link: UInt64) -> [(priority: Priority, Acknowledgement)] {
        guard ledgers[link] != nil else { return [] }
        return Priority.allCases.compactMap { priority in
            ledgers[link]?[Int(priority.rawValue)].take().map { (priority, $0) }
        }
    }

    /// The link is gone: nothing can be said over it.
    package mutating func linkEnded(_ link: UInt64) { ledgers[link] = nil }

    private mutating func settle(_ place: Place) -> Due {
        guard let before = ledgers[place.link]?.reduce(0, { $0 + $1.unsaid }) else { return .not }
        ledgers[place.link]?[Int(place.priority.rawValue)].settled(place.ordinal)
        if before + 1 >= DeliveryIntake.ackMessages { return .now }
        return before == 0 ? .soon : .not
    }
}
