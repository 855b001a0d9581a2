public import LLMgineCore

/// Decides whether an event goes out, when it is published and before it enters any queue.
///
/// Filters judge what is published on their own bus; what other nodes publish has been judged there. An event goes out when every filter lets
/// it, so exclusion wins. A filter that throws has no say: the event goes on, and the fault is counted and observed.
/// See ``MessageBus/addEventFilter(_:)``.
public protocol EventFilter: Sendable {
    /// Whether the event may go out. Called on the publisher's task for each event: be quick, and do not block.
    func shouldHandle(_ event: PublishedEvent) throws -> Bool
}

/// An event on its way out, as filters see it.
public struct PublishedEvent: Sendable {
    /// The event itself; nil when bytes are published.
    public let event: (any Event)?
    /// The wire name of its type; nil for bytes without one.
    public let eventType: String?
    /// Where it is published.
    public let topic: Topic
    /// The session that it belongs to.
    public let session: SessionID
    /// The class that it travels in.
    public let priority: Priority
    /// What travels beside it.
    public let headers: Headers

    /// Describes an event.
    public init(
        event: (any Event)? = nil, eventType: String?, topic: Topic, session: SessionID = .bus, priority: Priority = .normal,
        headers: Headers = Headers()
    ) {
        self.event = event
        self.eventType = eventType
        self.topic = topic
        self.session = session
        self.priority = priority
        self.headers = headers
    }

    init<E: Event>(_ event: E, to topic: Topic, _ options: PublishOptions) {
        self.init(
            event: event, eventType: E.eventType, topic: topic, session: options.session, priority: options.priority,
            headers: options.headers)
    }

    init(_ message: Message) {
        self.init(
            eventType: message.eventType, topic: message.topic, session: message.session, priority: message.priority,
            headers: message.headers)
    }
}
