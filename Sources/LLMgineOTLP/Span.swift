extension OTLP {
    /// One finished span as it travels.
    package struct Span: Sendable, Hashable {
        /// What the span was to the other side (`SpanKind`); 0, "unspecified", is never sent.
        package enum Kind: UInt8, Sendable, Hashable {
            case `internal` = 1
            case server, client, producer, consumer
        }

        package var traceHigh: UInt64
        package var traceLow: UInt64
        package var span: UInt64
        /// 0 for a root.
        package var parent: UInt64
        package var traceState = ""
        package var name: String
        package var kind: Kind
        package var start: UInt64
        package var end: UInt64
        package var attributes: [Attribute] = []
        package var droppedAttributes: UInt32 = 0
        package var events: [Event] = []
        package var droppedEvents: UInt32 = 0
        package var links: [Link] = []
        package var droppedLinks: UInt32 = 0
        package var status = Status.unset
        package var flags: UInt32 = 0

        package init(
            traceHigh: UInt64, traceLow: UInt64, span: UInt64, parent: UInt64 = 0, name: String, kind: Kind = .internal, start: UInt64,
            end: UInt64
        ) {
            self.traceHigh = traceHigh
            self.traceLow = traceLow
            self.span = span
            self.parent = parent
            self.name = name
            self.kind = kind
            self.start = start
            self.end = end
        }
    }

    /// How a span ended (`Status`).
    package enum Status: Sendable, Hashable {
        case unset
        case ok
        case error(String)
    }

    /// Something that happened during a span.
    package struct Event: Sendable, Hashable {
        package var time: UInt64
        package var name: String
        package var attributes: [Attribute]

        package init(time: UInt64, name: String, attributes: [Attribute] = []) {
            self.time = time
            self.name = name
            self.attributes = attributes
        }
    }

    /// Another span that a span refers to without being its child.
    package struct Link: Sendable, Hashable {
        package var traceHigh: UInt64
        package var traceLow: UInt64
        package var span: UInt64
        package var traceState = ""
        package var attributes: [Attribute]
        package var flags: UInt32

        package init(traceHigh: UInt64, traceLow: UInt64, span: UInt64, attributes: [Attribute] = [], flags: UInt32 = 0) {
            self.traceHigh = traceHigh
            self.traceLow = traceLow
            self.span = span
            self.attributes = attributes
            self.flags = flags
        }
    }
}

/// What the bits of `Span.flags` and `Link.flags` above the W3C byte say.
package enum SpanFlags {
    /// It is known whether the parent (or the linked span) was on another node.
    package static let remotenessKnown: UInt32 = 0x100
    /// It was.
    package static let isRemote: UInt32 = 0x200
}
