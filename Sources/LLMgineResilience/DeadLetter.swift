public import struct LLMgineCore.CommandID
public import struct LLMgineCore.LLMgineError
public import struct LLMgineCore.Message
public import struct LLMgineCore.MessageID

/// An event that a subscription could not handle, or a command that failed, kept so that somebody can look at it and try it again.
public struct DeadLetter: Sendable, Identifiable {
    /// Its number in the store, growing by one with each dead letter of this process.
    public let id: UInt64
    /// The identity of the event. Commands are numbered on their own.
    public let message: MessageID
    /// The execution, if it is a command; nil for an event.
    public let command: CommandID?
    /// The event or command itself, encoded.
    public let content: Message
    /// The name of the subscription that failed; for a command the topic of its type.
    public let subscription: String
    /// Why the last attempt failed.
    public let error: LLMgineError
    /// Why the event could not be encoded, if it could not: then ``content`` has no payload.
    public let encodingError: LLMgineError?
    /// How often it was tried.
    public let attempts: Int
    /// When it was first tried, since 1970.
    public let firstAttempt: Duration
    /// When it was last tried, since 1970.
    public let lastAttempt: Duration

    package init(
        id: UInt64, message: MessageID, command: CommandID? = nil, content: Message, subscription: String, error: LLMgineError,
        encodingError: LLMgineError? = nil,
        attempts: Int, firstAttempt: Duration, lastAttempt: Duration
    ) {
        self.id = id
        self.message = message
        self.command = command
        self.content = content
        self.subscription = subscription
        self.error = error
        self.encodingError = encodingError
        self.attempts = attempts
        self.firstAttempt = firstAttempt
        self.lastAttempt = lastAttempt
    }
}
