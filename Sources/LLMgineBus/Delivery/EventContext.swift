public import LLMgineCore

/// What a handler is told beside the event.
public struct EventContext: Sendable {
    /// What a run of consecutive events has in common.
    package let run: DeliveryRun
    /// The event's number at its publisher: 1 for the first of the publisher's life.
    public let sequence: UInt64
    /// 1 for the first call of the handler with this event, 2 for the first retry; an event out of the dead letters goes on counting.
    public let attempt: Int
    /// Events that this subscription lost immediately before this one, because its queue was full: the gap marker.
    public let missed: UInt64
    package let extras: MessageExtras?

    init(_ envelope: borrowing Envelope, attempt: Int) {
        self.run = envelope.run
        self.sequence = envelope.sequence
        self.attempt = attempt
        self.missed = envelope.missed
        self.extras = envelope.extras
    }

    init(_ context: EventContext, attempt: Int) {
        self.run = context.run
        self.sequence = context.sequence
        self.attempt = attempt
        self.missed = context.missed
        self.extras = context.extras
    }

    /// Where the event was published.
    public var topic: Topic { run.topic }
    /// The node that it was published on.
    public var publisher: NodeID { run.node }
    /// The session that it belongs to.
    public var session: SessionID { run.session }
    /// The class that it travelled in.
    public var priority: Priority { run.priority }
    /// The identity of the event, the same on every node and at every attempt.
    public var id: MessageID { MessageID(node: run.node, incarnation: run.incarnation, sequence: sequence) }
    /// The headers that the publisher set.
    public var headers: Headers { extras?.headers ?? Headers() }
    /// The span of this call if it is recorded, else what the event brought along: the parent of whatever the handler does.
    public var trace: TraceContext? { extras?.trace }
}

/// What a run of consecutive deliveries has in common. One object a run, so that an event costs no topic or session of its own.
package final class DeliveryRun: Sendable {
    package let topic: Topic
    package let session: SessionID
    package let priority: Priority
    package let node: NodeID
    package let incarnation: Incarnation

    package init(topic: Topic, session: SessionID, priority: Priority, node: NodeID, incarnation: Incarnation) {
        self.topic = topic
        self.session = session
        self.priority = priority
        self.node = node
        self.incarnation = incarnation
    }

    /// Whether a message with these traits belongs to the run.
    func covers(topic: Topic, session: SessionID, priority: Priority, node: NodeID, incarnation: Incarnation) -> Bool {
        self.topic == topic && self.priority == priority && self.incarnation == incarnation && self.session == session && self.node == node
    }
}

/// What few messages have; most travel without the object.
package final class MessageExtras: Sendable {
    package let headers: Headers
    package let trace: TraceContext?
    /// On the bus's clock; nil for ever.
    package let expires: ContinuousClock.Instant?
    /// Tells the publisher that the event is done with, if it waits for that.
    let token: DeliveryToken?
    /// The handlers that come first; nil if there are none.
    let gate: HandlerStage?

    init(
        headers: Headers, trace: TraceContext?, expires: ContinuousClock.Instant?, token: DeliveryToken? = nil, gate: HandlerStage? = nil
    ) {
        self.headers = headers
        self.trace = trace
        self.expires = expires
        self.token = token
        self.gate = gate
    }

    /// With a place among the handlers of the event.
    convenience init(headers: Headers, trace: TraceContext?, timeToLive: Duration?, place: StagePlace) {
        self.init(
            headers: headers, trace: trace, expires: timeToLive.map { ContinuousClock.now.advanced(bySaturating: $0) }, token: place.token,
            gate: place.gate)
    }

    /// Nil where there is nothing to say.
    package convenience init?(headers: Headers, trace: TraceContext?, timeToLive: Duration?) {
        guard !headers.isEmpty || trace != nil || timeToLive != nil else { return nil }
        self.init(headers: headers, trace: trace, expires: timeToLive.map { ContinuousClock.now.advanced(bySaturating: $0) })
    }
}
