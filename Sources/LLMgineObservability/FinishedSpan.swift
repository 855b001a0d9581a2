package import LLMgineCore
package import LLMgineOTLP

/// A span that is over, as the hot path leaves it behind: values only, put into words by the exporter.
package struct FinishedSpan: Sendable {
    /// What was done.
    package enum Kind: UInt8, Sendable, Hashable {
        /// An event was handed to the bus.
        case publish
        /// A handler ran.
        case process
        /// A request was sent and its answer awaited.
        case request
        /// A responder answered a request.
        case respond
        /// A model was called.
        case llmChat
        /// Anything else inside this process: a command, a tool, an engine's turn.
        case custom
    }

    /// How it ended.
    package enum Status: Sendable, Hashable {
        case unset
        case ok
        /// With a description for a person; the code goes into ``SpanNote/errorType(_:)``.
        case error(String)
    }

    package var kind: Kind
    package var context: TraceContext
    /// The span that caused it; 0 for a root.
    package var parent: UInt64
    /// Whether that span was on another node.
    package var parentIsRemote: Bool
    /// What it was about: the topic, the model, or for `.custom` the whole name.
    package var subject: String
    /// Nanoseconds since 1970.
    package var start: UInt64
    /// Nanoseconds since 1970.
    package var end: UInt64
    package var status: Status
    /// The span that created the message, when that is worth pointing out beside the parent.
    package var link: TraceContext?
    /// At most 128 are exported.
    package var notes: [SpanNote]
    /// What users added through swift-distributed-tracing.
    package var extras: Extras?

    package init(
        _ kind: Kind, _ subject: String, context: TraceContext, parent: UInt64 = 0, parentIsRemote: Bool = false, start: UInt64,
        end: UInt64,
        status: Status = .unset, link: TraceContext? = nil, notes: [SpanNote] = [], extras: Extras? = nil
    ) {
        self.kind = kind
        self.context = context
        self.parent = parent
        self.parentIsRemote = parentIsRemote
        self.subject = subject
        self.start = start
        self.end = end
        self.status = status
        self.link = link
        self.notes = notes
        self.extras = extras
    }

    /// Events, links and free attributes; in a box because the bus's own spans have none.
    package final class Extras: Sendable {
        package let kind: OTLP.Span.Kind
        package let attributes: [OTLP.Attribute]
        package let droppedAttributes: UInt32
        package let events: [OTLP.Event]
        package let droppedEvents: UInt32
        package let links: [OTLP.Link]
        package let droppedLinks: UInt32

        package init(
            kind: OTLP.Span.Kind, attributes: [OTLP.Attribute], droppedAttributes: UInt32 = 0, events: [OTLP.Event] = [],
            droppedEvents: UInt32 = 0,
            links: [OTLP.Link] = [], droppedLinks: UInt32 = 0
        ) {
            self.kind = kind
            self.attributes = attributes
            self.droppedAttributes = droppedAttributes
            self.events = events
            self.droppedEvents = droppedEvents
            self.links = links
            self.droppedLinks = droppedLinks
        }
    }
}
