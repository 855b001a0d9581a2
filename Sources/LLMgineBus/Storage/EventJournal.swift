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
