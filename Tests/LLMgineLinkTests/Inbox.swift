import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineWire
import NIOCore
import Testing

/// The other end of a link: decodes what an outbox gives, and holds each frame to the limits.
struct Inbox {
    struct Letter: Hashable, CustomStringConvertible {
        let topic: Topic
        var type: String?
        var timeToLive: Duration?
        let sequence: UInt64
        let payload: ByteBuffer

        var description: String { "\(topic)#\(sequence)" }
    }

    enum Arrival: Hashable {
        case intern(UInt32, String)
        case data([UInt32], Priority, [Letter])
        /// The first part of a long message, with its payload bytes.
        case begun([UInt32], Priority, Int)
        /// A later part, but not the last.
        case part(UInt64)
        /// The last part of a long message: all of it.
        case whole([UInt32], Priority, [Letter])
        /// A part of a long request or reply.
        case call(CallPartFrame.Call, CallStep)
        case gap(UInt32, Priority, UInt64)
        case expired(UInt32, Priority, UInt64)
        case blocked(UInt32, Priority, at: Credit)
        case drained(UInt32, Priority, at: Credit)
        case other(FrameType)
    }

    /// What a part of a request or reply has led to.
    enum CallStep: Hashable {
        case begun, part, givenUp
        case whole(CallPartFrame.Whole)
    }

    private var decoder = FrameDecoder(maximumFrame: WireLimits().maximumFrame)
    private var texts = InternedTexts()
    private var fragments = FragmentAssembly()
    private var calls = CallAssembly()

    mutating func take(_ buffers: [ByteBuffer]) throws -> [Arrival] {
        var arrivals: [Arrival] = []
        for buffer in buffers {
            decoder.append(buffer)
            while let frame = try decoder.next() { arrivals.append(try arrival(frame, length: buffer.readableBytes)) }
        }
        #expect(decoder.pendingBytes == 0, "a frame was cut short")
        return arrivals
    }

    private mutating func arrival(_ frame: Frame, length: Int) throws -> Arrival {
        switch frame {
        case .intern(let intern):
            try texts.define(intern)
            return .intern(intern.id, intern.text)
        case .data(let data):
            let index = try data.index(highestIntern: texts.highest, maximumPayload: WireLimits.defaultPayload)
            #expect(length <= 16 << 10 || index.count == 1, "\(length) bytes in one DATA frame of \(index.count) messages")
            return .data(data.flows, data.priority, try index.map { try letter($0) })
        case .fragment(let fragment):
            #expect(fragment.bytes.readableBytes < 16 << 10, "\(fragment.bytes.readableBytes) bytes in one FRAGMENT")
            return try arrival(fragment)
        case .callPart(let part):
            #expect(part.bytes.readableBytes < 16 << 10, "\(part.bytes.readableBytes) bytes in one CALL_PART")
            return try arrival(part)
        case .gap(let gap):
            return gap.cause == .evicted
                ? .gap(gap.flow, gap.priority, gap.count) : .expired(gap.flow, gap.priority, gap.count)
        case .blocked(let blocked):
            return .blocked(blocked.flow, blocked.priority, at: Credit(messages: blocked.atMessages, bytes: blocked.atBytes))
        case .drained(let drained):
            return .drained(drained.flow, drained.priority, at: Credit(messages: drained.atMessages, bytes: drained.atBytes))
        default: return .other(try #require(frame.type))
        }
    }

    private mutating func arrival(_ part: CallPartFrame) throws -> Arrival {
        if case .first(let head) = part.part {
            try calls.check(part, head, limits: WireLimits())
            calls.begin(part, head, isKept: true, at: .zero)
            return .call(part.call, .begun)
        }
        switch try calls.proceed(part, at: .zero) {
        case .open: return .call(part.call, .part)
        case .complete(let whole): return .call(part.call, .whole(whole))
        case .givenUp, .expired: return .call(part.call, .givenUp)
        }
    }

    private mutating func arrival(_ fragment: FragmentFrame) throws -> Arrival {
        guard let head = fragment.head else {
            let announced = fragments.head(fragment.number)?.payloadBytes
            guard let data = try fragments.proceed(fragment) else { return .part(fragment.number) }
            let index = try data.index(highestIntern: texts.highest, maximumPayload: WireLimits.defaultPayload)
            #expect(announced == UInt64(index.payloadBytes))
            return .whole(data.flows, data.priority, try index.map { try letter($0) })
        }
        try fragments.check(fragment, head, limits: WireLimits())
        fragments.begin(fragment, head, for: head.flows)
        return .begun(head.flows, head.priority, Int(head.payloadBytes))
    }

    /// The one message of a REQUEST.
    func letter(_ request: RequestFrame) throws -> Letter {
        try letter(request.index(highestIntern: texts.highest, maximumPayload: WireLimits.defaultPayload)[0])
    }

    private func letter(_ message: WireMessage) throws -> Letter {
        Letter(
            topic: try texts.topic(message.topicRef), type: try texts.eventType(message.typeRef), timeToLive: message.timeToLive,
            sequence: message.sequence,
            payload: message.payload)
    }
}

extension [Inbox.Arrival] {
    /// What DATA brought, frame by frame, and what came in parts: the flows and the sequences.
    var data: [Parcel] {
        compactMap { arrival in
            switch arrival {
            case .data(let flows, _, let letters), .whole(let flows, _, let letters): Parcel(flows, letters.map(\.sequence))
            default: nil
            }
        }
    }
}

/// Flows and sequences of one DATA frame.
struct Parcel: Hashable, CustomStringConvertible {
    let flows: [UInt32]
    let sequences: [UInt64]

    init(_ flows: [UInt32], _ sequences: some Sequence<UInt64>) {
        self.flows = flows
        self.sequences = Array(sequences)
    }

    var description: String { "\(sequences) to \(flows)" }
}

/// One direction of a link: an outbox at one end, an inbox at the other. A class, since `#expect` takes no calls on what cannot be copied.
final class OneWay {
    private var outbox: Outbox
    private var inbox = Inbox()

    init(
        flows ids: ClosedRange<UInt32>? = 1...1, whenFull: WhenFull = .block, window: Credit = .plenty,
        limits: Outbox.Limits = Outbox.Limits()
    ) {
        outbox = Outbox(limits: limits)
        for id in ids.map(Array.init) ?? [] { outbox.opened(flow: id, whenFull: whenFull, window: window) }
    }

    func opened(flow id: UInt32, whenFull: WhenFull, window: Credit) { outbox.opened(flow: id, whenFull: whenFull, window: window) }
    func closed(flow id: UInt32) -> Int { outbox.closed(flow: id) }
    func granted(flow id: UInt32, _ limit: Credit, _ priority: Priority = .normal, at now: Duration = .zero) -> Bool {
        outbox.granted(flow: id, priority, limit, at: now)
    }
    func drained(flow id: UInt32, _ priority: Priority = .normal) { outbox.drained(flow: id, priority) }
    func room(flow id: UInt32, _ priority: Priority = .normal) -> Int { outbox.room(flow: id, priority) }
    func holders(flows ids: [UInt32]) -> [PublisherHold.Holder] { outbox.holders(flows: ids) }
    func isTurningAway(flows ids: [UInt32]) -> Bool { outbox.isTurningAway(flows: ids) }
    func demoted(flows ids: [UInt32]) -> [UInt32] { outbox.demoted(flows: ids) }
    func agreed(_ limits: WireLimits, features: WireFeatures = []) { outbox.agreed(limits, features: features) }
    func send(call frame: Frame, _ priority: Priority = .normal, at now: Duration = .zero) { outbox.send(call: frame, priority, at: now) }
    func giveUp(_ call: CallPartFrame.Call) -> Bool { outbox.giveUp(call) }
    var longCalls: Int { outbox.longCalls }
    func send(_ frame: Frame) { outbox.send(frame) }
    func encode(_ message: Message) throws(LLMgineError) -> ByteBuffer { try outbox.encode(message) }
    func drain(maximum: Int, at now: Duration = .zero) -> Outbox.Drained { outbox.drain(maximum: maximum, at: now) }
    func expire(at now: Duration) { outbox.expire(at: now) }
    var hasDeadlines: Bool { outbox.hasDeadlines }
    var queued: [(flow: UInt32, messages: Int)] { outbox.queued }
    var controlBytes: Int { outbox.controlBytes }
    var isOverfull: Bool { outbox.isOverfull }

    func append(_ message: Message, sequence: UInt64, to flows: [UInt32] = [1], at now: Duration = .zero) throws(LLMgineError)
        -> Outbox.Appended
    {
        try outbox.append(message, sequence: sequence, to: flows, at: now)
    }

    func append(
        _ sequence: UInt64, to flows: [UInt32] = [1], of topic: Topic = "a", bytes: Int = 8, priority: Priority = .normal,
        at now: Duration = .zero
    ) throws
        -> Outbox.Appended
    {
        try outbox.append(.of(topic, bytes: bytes, priority: priority), sequence: sequence, to: flows, at: now)
    }

    /// Appends several, all of which must find their place.
    func fill(
        _ sequences: ClosedRange<UInt64>, to flows: [UInt32] = [1], of topic: Topic = "a", bytes: Int = 8, priority: Priority = .normal
    ) throws {
        for sequence in sequences {
            #expect(try append(sequence, to: flows, of: topic, bytes: bytes, priority: priority) == .queued(evicted: 0, rejected: 0))
        }
    }

    func take(_ buffers: [ByteBuffer]) throws -> [Inbox.Arrival] { try inbox.take(buffers) }

    /// Everything that may go out now, as the peer sees it.
    func drained() throws -> [Inbox.Arrival] {
        var buffers: [ByteBuffer] = []
        while true {
            let drained = drain(maximum: 64 << 10)
            buffers += drained.buffers
            if !drained.hasMore { return try inbox.take(buffers) }
        }
    }
}

extension Outbox.Limits {
    static func messages(_ messages: Int) -> Outbox.Limits {
        var limits = Outbox.Limits()
        limits.messages = messages
        return limits
    }
}

extension Message {
    static func of(_ topic: Topic, type: String? = nil, bytes: Int = 8, priority: Priority = .normal) -> Message {
        Message(topic: topic, payload: ByteBuffer(repeating: 0x2A, count: bytes), eventType: type, priority: priority)
    }
}

extension Credit {
    static let plenty = Credit(messages: .max, bytes: .max)
    static func messages(_ messages: UInt64) -> Credit { Credit(messages: messages, bytes: .max) }
    static func bytes(_ bytes: UInt64) -> Credit { Credit(messages: .max, bytes: bytes) }
}
