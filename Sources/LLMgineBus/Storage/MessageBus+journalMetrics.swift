import LLMgineCore
public import LLMgineObservability

extension Instrument {
    /// Events that somebody is still owed.
    public static let journalOpen = Instrument(
        .gauge, "llmgine.journal.events.open", unit: "{event}", "Durable events that a subscription is still owed.")
    /// What waits for the disk.
    public static let journalWaiting = Instrument(
        .gauge, "llmgine.journal.waiting", unit: "{record}", "Records that wait for the disk to be done with others.")
    /// What the files take.
    public static let journalSize = Instrument(.gauge, "llmgine.journal.size", unit: "By", "Bytes of the journal's files.")
    /// How many files there are.
    public static let journalSegments = Instrument(.gauge, "llmgine.journal.segments", unit: "{file}", "Files of the journal.")
    /// Events that could not be written.
    public static let journalFailed = Instrument(
        .counter, "llmgine.journal.failed", unit: "{event}", "Durable events that could not be written.")
    /// How long the disk was waited for.
    public static let journalSyncDuration = Instrument(
        .histogram(bounds: durationBounds), "llmgine.journal.sync.duration", unit: "s",
        "How long the disk took to keep what it was given; several events share one wait.")
}

extension MessageBus {
    /// Measures a journal that says what it holds: by looking, but for the time of each sync.
    func observeJournal() {
        guard let journal, journal.load != nil else { return }
        let metrics = services.metrics
        func observe(_ instrument: Instrument, _ figure: @escaping @Sendable (JournalLoad) -> Double) {
            metrics.observe(instrument) { [weak journal] in (journal?.load).map(figure) ?? 0 }
        }
        observe(.journalOpen) { Double($0.open) }
        observe(.journalWaiting) { Double($0.waiting) }
        observe(.journalSize) { Double($0.bytes) }
        observe(.journalSegments) { Double($0.segments) }
        observe(.journalFailed) { Double($0.failed) }
        let syncs = metrics.histogram(.journalSyncDuration)
        journal.journal.observeSyncs { syncs.record($0) }
    }
}
