public import LLMgineCore

/// A session began. Published in the session itself, on the node that it was made on.
public struct SessionStartEvent: Event, Hashable {
    /// `events.SessionStartEvent`
    public static let topic: Topic = "events.SessionStartEvent"
    /// The session.
    public var session: SessionID

    /// Describes a beginning.
    public init(session: SessionID) { self.session = session }
}

/// A session ended. Published in the session itself and handled by its own handlers too, before they vanish.
public struct SessionEndEvent: Event, Hashable {
    /// `events.SessionEndEvent`
    public static let topic: Topic = "events.SessionEndEvent"
    /// The session.
    public var session: SessionID
    /// Why it ended early; nil when it ended as intended.
    public var error: String?

    /// Describes an end.
    public init(session: SessionID, error: String? = nil) {
        self.session = session
        self.error = error
    }
}
