package import LLMgineCore
import Synchronization

/// What becomes of durable events whose subscription is not there.
extension MessageBus {
    /// Takes up what earlier lives of the process left, and what comes back in this one.
    func takeUpJournal() {
        guard let journal else { return }
        journal.onReturn { [weak self] obligation in self?.passOn(obligation) }
        planExpiry()
    }

    /// What is left for a subscription, under new numbers, as far as it may have it.
    package func claimJournaled(_ obligation: String, where isAllowed: (Topic) -> Bool) -> [JournalDesk.Late] {
        journal?.claim(obligation, where: isAllowed) { sequence.add(1, ordering: .relaxed).newValue } ?? []
    }

    /// Whoever goes by the same name takes what came back: another member of the group, or a subscription that was made in the meantime.
    private func passOn(_ obligation: String) {
        guard lifecycle.load(ordering: .relaxed) == Lifecycle.running.rawValue else { return }
        let subscribers = registry.withLock { $0.subscriptions.values.map(\.subscriber) }
        if let subscriber = subscribers.first(where: { !$0.mailbox.isClosed && $0.obligation(on: node) == obligation }) {
            subscriber.resume(on: self)
        } else {
            cluster?.claimJournaled(obligation)
        }
        planExpiry()
    }

    /// Has what nobody comes for end in the dead letters.
    private func planExpiry() {
        guard let end = journal?.planExpiry() else { return }
        timers.schedule(at: end) { [weak self] in self?.expireJournaled() }
    }

    /// After a stop, what is left is for the next life.
    private func expireJournaled() {
        guard isRunning else { return }
        let now = SystemClock.sinceEpoch()
        journal?.expire(at: .now) { id, message, obligation in
            deadLetters.add(
                message: id, content: message, subscription: obligation,
                error: LLMgineError(.peerLost, "the subscription did not come back within the retention of the journal"),
                encodingError: nil, attempts: 0, firstAttempt: now, lastAttempt: now)
        }
        planExpiry()
    }
}
