public import LLMgineCore
public import LLMgineResilience

/// Where a bus keeps what must outlive its process: scheduled events, pending approvals and dead letters.
///
/// Neither a publisher nor a handler ever waits for it. A store that cannot keep something counts it and says so; the bus goes on.
public protocol BusStore: AnyObject, Sendable {
    /// What earlier lives of the process left. A bus takes it when it is made; whoever asks after that gets nothing.
    func takeContents() -> StoreContents
    /// Takes note of a change, in order with the others, without waiting.
    func note(_ change: StoreChange)
    /// Takes note of a change and returns once it would survive a crash. - Throws: `storageFailed`.
    func keep(_ change: StoreChange) async throws(LLMgineError)
    /// Returns once everything noted so far is kept, or was given up.
    func flush() async
    /// How many changes found no room or were not taken by the disk, so far.
    var lost: UInt64 { get }
}

/// One change of what a store keeps.
public enum StoreChange: Sendable {
    /// An event waits for its time.
    case scheduled(ScheduledEvent)
    /// It was published, or called off.
    case unscheduled(ScheduledEvent.ID)
    /// An approval is pending, or its outcome is known and not announced yet. The later one takes the place of the earlier.
    case approval(Approval)
    /// It was announced, or withdrawn.
    case approvalGone(ApprovalID)
    /// An event or a command could not be handled.
    case deadLetter(DeadLetter)
    /// It was tried again, thrown away, or had to make room.
    case deadLetterGone(UInt64)
}

/// What a store kept for the next life.
public struct StoreContents: Sendable {
    /// Events that wait for their time.
    public var scheduled: [ScheduledEvent]
    /// Approvals that nobody has announced the outcome of.
    public var approvals: [Approval]
    /// Dead letters, oldest first.
    public var deadLetters: [DeadLetter]

    /// Contents; nothing unless given.
    public init(scheduled: [ScheduledEvent] = [], approvals: [Approval] = [], deadLetters: [DeadLetter] = []) {
        self.scheduled = scheduled
        self.approvals = approvals
        self.deadLetters = deadLetters
    }
}
