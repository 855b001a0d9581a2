public import struct NIOCore.ByteBuffer

/// One event of a `text/event-stream`.
public struct SSEEvent: Sendable, Hashable {
    /// The `event` field, empty if there was none.
    public var name: String
    /// The `data` lines, joined by line feeds.
    public var data: String
    /// The last `id` field so far, nil if there was none.
    public var id: String?

    /// Creates an event.
    public init(name: String = "", data: String, id: String? = nil) {
        self.name = name
        self.data = data
        self.id = id
    }
}

/// Reads server-sent events from bytes that arrive in any pieces.
///
/// "The stream must then be parsed by reading everything line by line, with a U+000D U+000A character pair, a single U+000A not preceded by a U+000D, and
/// a single U+000D not followed by a U+000A being the ways in which a line can end" (WHATWG HTML, 9.2.6). An event that the stream cuts off before
/// its blank line is discarded, as there.
public struct SSEParser: Sendable {
    /// The most bytes that one line, and the data of one event, may have unless set: 1 MiB.
    public static let defaultMaximumBytes = 1 << 20

    private let maximumBytes: Int
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var name = ""
    private var id: String?
    private var isFirstLine = true
    private var followsCarriageReturn = false

    /// Creates a parser at the start of a stream.
    public init(maximumBytes: Int = SSEParser.defaultMaximumBytes) { self.maximumBytes = maximumBytes }

    /// Takes the next bytes and returns the events that they completed.
    /// - Throws: `protocol` if a line or event is larger than the limit. The stream is then of no further use.
    public mutating func feed(_ buffer: ByteBuffer) throws(LLMError) -> [SSEEvent] {
        var events: [SSEEvent] = []
        let bytes = buffer.readableBytesUInt8Span
        for index in bytes.indices {
            let byte = bytes[index]
            defer { followsCarriageReturn = byte == Self.carriageReturn }
            switch byte {
            case Self.lineFeed where followsCarriageReturn: break  // the second half of a CRLF
            case Self.lineFeed, Self.carriageReturn:
                if let event = try endLine() { events.append(event) }
            default:
                guard line.count < maximumBytes else { throw tooLarge }
                line.append(byte)
            }
        }
        return events
    }

    private var tooLarge: LLMError { LLMError(.protocolViolation, "an event of the stream is larger than \(maximumBytes) bytes") }

    private mutating func endLine() throws(LLMError) -> SSEEvent? {
        defer {
            line.removeAll(keepingCapacity: true)
            isFirstLine = false
        }
        if isFirstLine, line.starts(with: Self.byteOrderMark) { line.removeFirst(Self.byteOrderMark.count) }
        guard !line.isEmpty else { return endEvent() }
        try takeField()
        return nil
    }

    private mutating func takeField() throws(LLMError) {
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "data":
            guard data.count + value.count < maximumBytes else { throw tooLarge }
            if hasData { data.append(Self.lineFeed) }
            hasData = true
            data.append(contentsOf: value)
        case "event": name = String(decoding: value, as: UTF8.self)
        case "id": if !value.contains(0) { id = String(decoding: value, as: UTF8.self) }
        default: break  // comments have an empty name; `retry` and unknown fields mean nothing here
        }
    }

    private mutating func endEvent() -> SSEEvent? {
        defer {
            data.removeAll(keepingCapacity: true)
            hasData = false
            name = ""
        }
        return hasData ? SSEEvent(name: name, data: String(decoding: data, as: UTF8.self), id: id) : nil
    }

    private static let lineFeed: UInt8 = 0x0A
    private static let carriageReturn: UInt8 = 0x0D
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
}
