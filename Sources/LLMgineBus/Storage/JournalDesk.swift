package import LLMgineCore
import Synchronization

/// What a bus has in its journal: which event of this life is which record, and what waits for subscriptions that are not there.
package final class JournalDesk: Sendable {
    /// The record of an event and those who must still have it.
    fileprivate struct Tracked {
        let record: UInt64
        var owed: [String: Owed]
    }

    /// What one obligation waits for: subscriptions of one name have a copy each.
    fileprivate struct Owed {
        var copies: Int
        /// The event, if a copy came back without having been handled.
        var returned: Late?
    }

    fileprivate struct Left {
        let record: UInt64
        let id: MessageID
        let message: Message
        let since: ContinuousClock.Instant
    }

    fileprivate struct State {
        var tracked: [UInt64: Tracked] = [:]
        /// By obligation, in the order of publishing.
        var left: [String: [Left]] = [:]
        /// Whether somebody will look at what is left when its time is over.
        var isExpiryPlanned = false
    }

    /// An event that a subscription gets late, as a message of its publisher's present life.
    package struct Late: Sendable {
        package let id: MessageID
        package let message: Message
        /// Its number in this life, under which it is settled.
        package let sequence: UInt64
    }

    /// How long what is left waits for its subscription.
    let retention: Duration
    let journal: any EventJournal
    private let state: Mutex<State>
    /// Hears of each obligation for which an event came back.
    private let returned = Mutex<@Sendable (String) -> Void>({ _ in })

    /// What the journal holds; nil if it does not say.
    package var load: JournalLoad? { journal.load }

    init(_ journal: any EventJournal) {
        self.journal = journal
        retention = journal.retention
        let now = ContinuousClock.now
        var state = State()
        for (record, event) in journal.takeOpen() {
            let left = Left(record: record, id: event.id, message: event.message, since: now)
            for obligation in event.obligations { state.left[obligation, default: []].append(left) }
        }
        self.state = Mutex(state)
    }

    /// Has the body called for each obligation for which an event came back.
    func onReturn(_ body: @escaping @Sendable (String) -> Void) { returned.withLock { $0 = body } }

    /// Writes an event of this life. Returns once it is on the disk.
    /// - Parameter copies: an obligation for each subscription that gets it.
    /// - Throws: `storageFailed`.
    func append(_ message: Message, _ id: MessageID, for copies: [String]) async throws(LLMgineError) {
        let owed = Dictionary(copies.map { ($0, Owed(copies: 1)) }) { one, _ in Owed(copies: one.copies + 1) }
        let record = try await journal.append(JournaledEvent(id: id, message: message, obligations: owed.keys.sorted()))
        state.withLock { $0.tracked[id.sequence] = Tracked(record: record, owed: owed) }
    }

    /// A subscription has the event of this number, or will never have it and the receipt or a dead letter says so.
    package func settled(_ sequence: UInt64, obligation: String) { close(sequence, obligation, returned: nil) }

    /// A subscription ended before it had handled an event: the next of its name gets it.
    func giveBack(_ late: Late, _ obligation: String) { close(late.sequence, obligation, returned: late) }

    private enum Closing {
        case settled(record: UInt64)
        case left
    }

    private func close(_ sequence: UInt64, _ obligation: String, returned late: Late?) {
        let closing: Closing? = state.withLock { state in
            guard let record = state.tracked[sequence]?.record, var owed = state.tracked[sequence]?.owed.removeValue(forKey: obligation)
            else { return nil }
            owed.copies -= 1
            owed.returned = owed.returned ?? late
            if owed.copies > 0 {
                state.tracked[sequence]?.owed[obligation] = owed
                return nil
            }
            if state.tracked[sequence]?.owed.isEmpty ?? false { state.tracked[sequence] = nil }
            guard let late = owed.returned else { return .settled(record: record) }
            state.leave(Left(record: record, id: late.id, message: late.message, since: .now), for: obligation)
            return .left
        }
        switch closing {
        case .settled(let record): journal.settled(record, obligation: obligation)
        case .left: returned.withLock { $0 }(obligation)
        case nil: break
        }
    }

    /// Whether the event will be published again after a restart.
    package func keeps(_ sequence: UInt64) -> Bool { state.withLock { $0.tracked[sequence] != nil } }

    /// What is left for a subscription that is there, in order, as far as it may have it. The first who asks gets it.
    func claim(_ obligation: String, where isAllowed: (Topic) -> Bool, numbered next: () -> UInt64) -> [Late] {
        state.withLock { state in
            guard var left = state.left.removeValue(forKey: obligation) else { return [] }
            let end = left.partition { isAllowed($0.message.topic) }
            if end > 0 { state.left[obligation] = left[..<end].sorted { $0.id < $1.id } }
            return left[end...].sorted { $0.id < $1.id }.map { left in
                let sequence = next()
                state.tracked[sequence] = Tracked(record: left.record, owed: [obligation: Owed(copies: 1)])
                return Late(id: left.id, message: left.message, sequence: sequence)
            }
        }
    }

    /// When to look at what is left; nil if there is nothing, or if somebody has been told already.
    func planExpiry() -> ContinuousClock.Instant? {
        state.withLock { state in
            guard !state.isExpiryPlanned, let since = state.left.values.joined().map(\.since).min() else { return nil }
            state.isExpiryPlanned = true
            return since.advanced(bySaturating: retention)
        }
    }

    /// Gives up what has waited for long enough: the body has a better place for it. The plan is done with.
    func expire(at now: ContinuousClock.Instant, _ body: (MessageID, Message, _ obligation: String) -> Void) {
        let expired = state.withLock { state in
            state.isExpiryPlanned = false
            var expired: [(obligation: String, left: Left)] = []
            for (obligation, left) in state.left {
                let rest = left.filter { $0.since.advanced(bySaturating: retention) > now }
                expired += left.filter { $0.since.advanced(bySaturating: retention) <= now }.map { (obligation, $0) }
                state.left[obligation] = rest.isEmpty ? nil : rest
            }
            return expired.sorted { $0.left.id < $1.left.id }
        }
        for (obligation, left) in expired {
            body(left.id, left.message, obligation)
            journal.settled(left.record, obligation: obligation)
        }
    }
}

extension JournalDesk.State {
    fileprivate mutating func leave(_ new: JournalDesk.Left, for obligation: String) {
        // What comes back together comes in order, so the place is at the end or near it.
        let index = left[obligation]?.lastIndex { $0.id < new.id }.map { $0 + 1 } ?? 0
        left[obligation, default: []].insert(new, at: index)
    }
}
