public import LLMgineCore

/// A handler has given up an event, which is in the dead letters now.
///
/// Published on the bus of the handler for whoever subscribes to it. Failures in handling this very event are not announced, so it cannot feed itself.
/// The bus tells it as well as it can: it holds nobody up, and what comes while 1,000 announcements wait is dropped, counted as
/// `llmgine.announcements.dropped`. The dead letters miss nothing.
public struct EventHandlerFailedEvent: Event, Hashable {
    /// `events.EventHandlerFailedEvent`
    public static let topic: Topic = "events.EventHandlerFailedEvent"
    /// The identity of the event, as `node/incarnation/sequence`.
    public var eventID: String
    /// The wire name of its type; nil for bytes without one.
    public var failedType: String?
    /// Where it was published.
    public var failedTopic: Topic
    /// The name of the subscription.
    public var handler: String
    /// The code of the error.
    public var code: String
    /// The particulars.
    public var detail: String
    /// How often it was tried.
    public var attempts: Int

    /// Describes a failure.
    public init(
        eventID: String, failedType: String?, failedTopic: Topic, handler: String, code: String, detail: String, attempts: Int
    ) {
        self.eventID = eventID
        self.failedType = failedType
        self.failedTopic = failedTopic
        self.handler = handler
        self.code = code
        self.detail = detail
        self.attempts = attempts
    }
}

/// A command has failed for good and is in the dead letters now. Told as well as ``EventHandlerFailedEvent``.
public struct DeadLetterCommandEvent: Event, Hashable {
    /// `events.DeadLetterCommandEvent`
    public static let topic: Topic = "events.DeadLetterCommandEvent"
    /// The command, by the id that all its executions have.
    public var id: CommandID
    /// The wire name of the command's type.
    public var commandType: String
    /// The code of the error.
    public var code: String
    /// The particulars.
    public var detail: String
    /// How often it was tried.
    public var attempts: Int

    /// Describes a failure.
    public init(id: CommandID, commandType: String, code: String, detail: String, attempts: Int) {
        self.id = id
        self.commandType = commandType
        self.code = code
        self.detail = detail
        self.attempts = attempts
    }
}

/// The execution of a command begins. Once per execution, however often that tries, and never twice. A command that is tried again out of the dead
/// letters has a new execution, under the same id.
///
/// Told as well as ``EventHandlerFailedEvent``: no execution waits for those who read it, so what comes while 1,000 announcements wait is dropped,
/// counted as `llmgine.announcements.dropped`. The counters `llmgine.commands.sent`, `.processed` and `.failed` miss nothing.
public struct CommandStartedEvent: Event, Hashable {
    /// `events.CommandStartedEvent`
    public static let topic: Topic = "events.CommandStartedEvent"
    /// The command, by the id that all its executions have.
    public var id: CommandID
    /// The wire name of the command's type.
    public var commandType: String
}

/// The execution of a command has ended. Once per execution, and never twice. A command that is tried again out of the dead letters has a new execution,
/// under the same id; the attempts in the result are those of all its executions.
///
/// It may be dropped as a ``CommandStartedEvent`` may, and each of the two without the other. What `execute` returns is always the whole result.
public struct CommandResultEvent: Event {
    /// `events.CommandResultEvent`
    public static let topic: Topic = "events.CommandResultEvent"
    /// The wire name of the command's type.
    public var commandType: String
    /// How it went.
    public var result: CommandResult
}
