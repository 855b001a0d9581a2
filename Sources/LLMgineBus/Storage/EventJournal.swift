public import LLMgineCore

/// Where events that must not be forgotten are written before a publish returns: an append-only file, usually.
///
/// An event is *open* until each of its obligations, one a subscription that had to have it, is settled.
public protocol EventJournal: AnyObject, Sendable {
    /// Writes an event. Returns its number once it is on the disk.
    /// - Throws: `storageFailed`: the disk is full or broken, or the journal is; nothing is written then.
    func append(_ event: JournaledEvent) async throws(LLMgineError) -> UInt64
    /// One obligation of an event is met. Need not be on the disk when the call returns: at worst the event is delivered once more.
    func settled(_ number: UInt64, obligation: String)
    /// What earlier lives of the process left open, oldest first. The first who asks gets it.
    func takeOpen() -> [(number: UInt64, event: JournaledEvent)]
    /// How long events wait for a subscription that is not there, after a start or after it has ended.
    var retention: Duration { get }
    /// Writes what waits and lets go of the files.
    func close() async
    /// What it holds now, for metrics and status; nil if it does not say, which is the default.
    var load: JournalLoad? { get }
    /// Has it tell how long each wait for the disk took. Called once, before anything is appended. Default: it tells nothing.
    func observeSyncs(_ note: @escaping @Sendable (Duration) -> Void)
}

extension EventJournal {
    /// Nil: it does not say.
    public var load: JournalLoad? { nil }
    /// Tells nothing.
    public func observeSyncs(_ note: @escaping @Sendable (Duration) -> Void) {}
}

/// What a journal holds at one moment.
public struct JournalLoad: Sendable, Hashable, Codable {
    /// Events that somebody is still owed.
    public var open: Int
    /// Records that wait for the disk to be done with others.
    public var waiting: Int
    /// Bytes of all files.
    public var bytes: Int
    /// Files.
    public var segments: Int
    /// Events that could not be written, since the start.
    public var failed: UInt64

    /// Puts one together.
    public init(open: Int, waiting: Int, bytes: Int, segments: Int, failed: UInt64) {
        self.open = open
        self.waiting = waiting
        self.bytes = bytes
        self.segments = segments
        self.failed = failed
    }
}

/// An event as a journal keeps it.
public struct JournaledEvent: Sendable {
    /// Its identity, which it keeps when it is published again.
    public var id: MessageID
    /// Its content. A time to live counts from the moment that the event is read again.
    public var message: Message
    /// Who must have it: names that mean the same subscription after a restart.
    public var obligations: [String]

    /// Puts one together.
    public init(id: MessageID, message: Message, obligations: [String]) {
        self.id = id
        self.message = message
        self.obligations = obligations
    }
}
