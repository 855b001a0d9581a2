package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// What the sender's subscriptions want, as a change of the versioned log that it alone writes.
package struct InterestFrame: FrameBody {
    /// What to do with what was known before.
    package enum Kind: UInt8, Sendable, Hashable {
        /// Applies on top of `fromVersion`.
        case delta = 0
        /// Replaces everything.
        case snapshot = 1
    }

    /// One remote subscription: a flow, as its publishers will address it.
    package struct Entry: Sendable, Hashable {
        /// What the subscriber does with what it gets.
        package enum Kind: UInt8, Sendable, Hashable {
            /// Takes events.
            case events = 0
            /// Answers requests.
            case responder = 1
        }

        /// The flow, unique in the life of the subscriber's node.
        package var flow: UInt32
        /// Events or requests.
        package var kind: Kind
        /// What it wants: 1 to 16 filters, of which one must match.
        package var filters: [TopicFilter]
        /// The queue group of which one member gets each message, nil for none.
        package var group: String?
        /// What to do when its credit is used up.
        package var whenFull: WhenFull
        /// The first grant in messages, given with the flow so that the first message costs no round trip.
        package var windowMessages: UInt64
        /// The first grant in payload bytes.
        package var windowBytes: UInt64
        /// How its events are delivered at least once; nil if they need not be. On the wire a kind of its own.
        package var reliable: ReliableFlow?

        package init(
            flow: UInt32, kind: Kind, filters: [TopicFilter], group: String? = nil, whenFull: WhenFull = .block, windowMessages: UInt64,
            windowBytes: UInt64, reliable: ReliableFlow? = nil
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
    }

    /// Delta or snapshot.
    package var kind: Kind
    /// The version that a delta applies to; in a snapshot 0.
    package var fromVersion: UInt64
    /// The version that the receiver then knows. Not below `fromVersion`.
    package var toVersion: UInt64
    /// Entries that came or changed.
    package var adds: [Entry]
    /// Flows that went.
    package var removes: [UInt32]

    package init(kind: Kind, fromVersion: UInt64, toVersion: UInt64, adds: [Entry], removes: [UInt32] = []) {
        self.kind = kind
        self.fromVersion = fromVersion
        self.toVersion = toVersion
        self.adds = adds
        self.removes = removes
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        guard let kind = Kind(rawValue: try reader.u8()) else { throw .invalidValue }
        self.kind = kind
        fromVersion = try reader.varint()
        toVersion = try reader.varint()
        guard fromVersion <= toVersion else { throw .invalidValue }
        adds = []
        for _ in 0..<(try reader.count(maximum: WireLimits.interestEntries, bytesEach: Entry.minimumBytes)) {
            adds.append(try Entry(reading: &reader))
        }
        removes = []
        for _ in 0..<(try reader.count(maximum: WireLimits.interestEntries, bytesEach: 1)) {
            removes.append(try reader.varint32())
        }
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(kind.rawValue)
        buffer.writeVarint(fromVersion)
        buffer.writeVarint(toVersion)
        buffer.writeVarint(adds.count)
        for entry in adds { entry.write(into: &buffer) }
        buffer.writeVarint(removes.count)
        for flow in removes { buffer.writeVarint(flow) }
    }
}

extension InterestFrame.Entry {
    /// flow, kind, one filter of one byte, no group, policy, two windows.
    static let minimumBytes = 9

    /// The kind of an entry that takes events at least once: the name and the retention follow its windows.
    private static let reliableEvents: UInt8 = 2

    /// How each policy is written. The ones that make publishers wait are followed by their deadline, `.conflate` by the name of a header, which is
    /// empty for the topic, `.spill` by a number of bytes. From `adaptiveRateLimit` on only to peers with ``WireFeatures/policies``.
    private enum Policy: UInt8 {
        case block = 0
        case dropOldest = 1
        case rejectNew = 2
        case adaptiveRateLimit = 3
        case conflate = 4
        case spill = 5
    }

    /// The entry as a peer with these abilities understands it.
    package func understood(with features: WireFeatures) -> InterestFrame.Entry {
        guard !features.contains(.policies) else { return self }
        var entry = self
        entry.whenFull = whenFull.fallback
        return entry
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        let code = try reader.u8()
        guard let kind = code == InterestFrame.Entry.reliableEvents ? .events : Kind(rawValue: code) else { throw .invalidValue }
        self.kind = kind
        filters = []
        for _ in 0..<(try reader.count(maximum: WireLimits.filtersPerEntry, bytesEach: 2)) { filters.append(try reader.filter()) }
        guard !filters.isEmpty else { throw .wrongCount }
        let group = try reader.text(maximum: WireLimits.textBytes)
        self.group = group.isEmpty ? nil : group
        whenFull =
            switch Policy(rawValue: try reader.u8()) {
            case .block: .block(deadline: try reader.milliseconds())
            case .dropOldest: .dropOldest
            case .rejectNew: .rejectNew
            case .adaptiveRateLimit: .adaptiveRateLimit(deadline: try reader.milliseconds())
            case .conflate: .conflate(by: try reader.conflationKey())
            case .spill: .spill(maximumBytes: Int(clamping: try reader.varint()))
            case nil: throw .invalidValue
            }
        windowMessages = try reader.varint()
        windowBytes = try reader.varint()
        guard code == InterestFrame.Entry.reliableEvents else { return }
        reliable = ReliableFlow(name: try reader.text(maximum: WireLimits.textBytes), retention: try reader.milliseconds())
    }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(reliable == nil ? kind.rawValue : InterestFrame.Entry.reliableEvents)
        buffer.writeTexts(filters.map(\.text), maximum: WireLimits.textBytes)
        buffer.writeText(group ?? "", maximum: WireLimits.textBytes)
        switch whenFull {
        case .block(let deadline):
            buffer.writeInteger(Policy.block.rawValue)
            buffer.writeMilliseconds(deadline)
        case .dropOldest: buffer.writeInteger(Policy.dropOldest.rawValue)
        case .rejectNew: buffer.writeInteger(Policy.rejectNew.rawValue)
        case .adaptiveRateLimit(let deadline):
            buffer.writeInteger(Policy.adaptiveRateLimit.rawValue)
            buffer.writeMilliseconds(deadline)
        case .spill(let bytes):
            buffer.writeInteger(Policy.spill.rawValue)
            buffer.writeVarint(UInt64(clamping: bytes))
        case .conflate(let key):
            buffer.writeInteger(Policy.conflate.rawValue)
            if case .header(let name) = key {
                buffer.writeText(name, maximum: Headers.maximumBytes)
            } else {
                buffer.writeText("", maximum: Headers.maximumBytes)
            }
        }
        buffer.writeVarint(windowMessages)
        buffer.writeVarint(windowBytes)
        guard let reliable else { return }
        buffer.writeText(reliable.name, maximum: WireLimits.textBytes)
        buffer.writeMilliseconds(reliable.retention)
    }
}

extension BodyReader {
    mutating func conflationKey() throws(WireFault) -> ConflationKey {
        let name = try text(maximum: Headers.maximumBytes)
        return name.isEmpty ? .topic : .header(name)
    }

    mutating func filter() throws(WireFault) -> TopicFilter {
        let text = try text(maximum: WireLimits.textBytes)
        do throws(LLMgineError) { return try TopicFilter(text) } catch { throw .invalidFilter }
    }
}
