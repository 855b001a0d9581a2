package import struct LLMgineCore.ReliableFlow
package import struct LLMgineCore.TopicFilter
package import enum LLMgineCore.WhenFull

/// One subscription as its node tells it to the others.
package struct InterestEntry: Sendable, Hashable {
    package enum Kind: UInt8, Sendable, Hashable {
        /// Wants a copy of what is published.
        case events = 0
        /// Takes requests, one per credit.
        case responder = 1
    }

    /// Chosen by the subscriber's node, unique in its life.
    package var flow: UInt32
    package var kind: Kind
    /// What it wants: a message is wanted once, however many of the filters match.
    package var filters: [TopicFilter]
    /// The queue group, of which one member gets each message.
    package var group: String?
    package var whenFull: WhenFull
    /// Messages that a publisher may have under way to it: the requests that a responder takes at once. Of a subscription it is what this one
    /// publisher may send before it is granted more, in each class.
    package var windowMessages: UInt64
    /// The same in bytes.
    package var windowBytes: UInt64
    /// How its events are delivered at least once; nil if they need not be.
    package var reliable: ReliableFlow?

    package init(
        flow: UInt32, kind: Kind, filters: [TopicFilter], group: String? = nil, whenFull: WhenFull = .block,
        windowMessages: UInt64 = 0, windowBytes: UInt64 = 0, reliable: ReliableFlow? = nil
    ) {
        self.reliable = reliable
        self.flow = flow
        self.kind = kind
        self.filters = filters
        self.group = group
        self.whenFull = whenFull
        self.windowMessages = windowMessages
        self.windowBytes = windowBytes
    }

    /// A hash of the content that two processes agree on. The deadline of `.block` counts in milliseconds, which is what travels; the window of a
    /// subscription does not count, since each peer is told another one, and of its policy what every peer can be told.
    package var stableHash: UInt64 {
        var hash = StableHash()
        hash.combine(UInt64(flow))
        hash.combine(kind.rawValue)
        hash.combine(UInt64(filters.count))
        for filter in filters { hash.combine(filter.text) }
        hash.combine(group == nil ? 0 as UInt8 : 1)
        hash.combine(group ?? "")
        switch whenFull.fallback {
        case .block(let deadline), .adaptiveRateLimit(let deadline):
            hash.combine(0 as UInt8)
            hash.combine(deadline.wholeMilliseconds)
        case .dropOldest, .conflate: hash.combine(1 as UInt8)
        case .rejectNew, .spill: hash.combine(2 as UInt8)
        }
        if kind == .responder {
            hash.combine(windowMessages)
            hash.combine(windowBytes)
        }
        if let reliable {
            hash.combine(reliable.name)
            hash.combine(reliable.retention.wholeMilliseconds)
        }
        return hash.value
    }

    /// About how many bytes the entry takes in a frame, for cutting updates to size.
    var approximateBytes: Int {
        filters.reduce(64 + (group?.utf8.count ?? 0) + (reliable?.name.utf8.count ?? 0)) { $0 + $1.text.utf8.count + 2 }
    }
}

extension Duration {
    /// Milliseconds, cut off at zero below and at the largest number above.
    var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        let (sum, carry) = product.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000_000_000)
        return overflow || carry ? .max : sum
    }
}
