public import LLMgineObservability

/// What waits on a bus for its time or for a person, and what its store could not keep: measured by looking, when somebody looks.
extension MessageBus {
    func observeOperations() {
        let metrics = services.metrics
        metrics.observe(.scheduledEvents) { [weak self] in Double(self?.eventSchedule.count ?? 0) }
        metrics.observe(.pendingApprovals) { [weak self] in Double(self?.approvals.list.count ?? 0) }
        guard store != nil else { return }
        metrics.observe(.storeLost) { [weak self] in Double(self?.store?.lost ?? 0) }
    }
}

extension Instrument {
    /// Events that wait for their time.
    public static let scheduledEvents = Instrument(
        .gauge, "llmgine.scheduled_events", unit: "{event}", "Events that wait for their time.")
    /// Approvals that nobody has decided.
    public static let pendingApprovals = Instrument(
        .gauge, "llmgine.pending_approvals", unit: "{approval}", "Approvals that nobody has decided.")
    /// What a store had no room for or its disk did not take.
    public static let storeLost = Instrument(
        .counter, "llmgine.store.lost", unit: "{change}", "Changes and logged events that could not be kept.")
}
