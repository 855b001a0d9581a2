import LLMgineLLM
import NIOCore
import Testing

@Suite struct `A stream of server-sent events` {
    static let text =
        "\u{FEFF}: hello\r\ndata: {\"a\":1}\r\n\r\nevent: delta\rdata: one\rdata:two\rdata\r\rid: 7\ndata:  three ü😀\n\n\n: ping\n\ndata: [DONE]\n\ndata: cut"
    static let events = [
        SSEEvent(data: "{\"a\":1}"), SSEEvent(name: "delta", data: "one\ntwo\n"), SSEEvent(data: " three ü😀", id: "7"),
        SSEEvent(data: "[DONE]", id: "7"),
    ]

    @Test func `is read the same whole, in single bytes, and split at every byte`() throws {
        let bytes = Array(Self.text.utf8)
        var whole = SSEParser()
        #expect(try whole.feed(ByteBuffer(bytes: bytes)) == Self.events)

        var single = SSEParser()
        #expect(try bytes.flatMap { try single.feed(ByteBuffer(bytes: [$0])) } == Self.events)

        for split in bytes.indices {
            var parser = SSEParser()
            let events = try parser.feed(ByteBuffer(bytes: bytes[..<split])) + parser.feed(ByteBuffer(bytes: bytes[split...]))
            #expect(events == Self.events, "split at \(split)")
        }
    }

    @Test func `ends a line at LF, CR and CRLF alike`() throws {
        for end in ["\n", "\r", "\r\n"] {
            var parser = SSEParser()
            let events = try parser.feed(ByteBuffer(string: "data: a\(end)data: b\(end)\(end)data: c\(end)\(end)"))
            #expect(events == [SSEEvent(data: "a\nb"), SSEEvent(data: "c")])
        }
    }

    @Test func `keeps nothing of comments, unknown fields and events without data`() throws {
        var parser = SSEParser()
        #expect(try parser.feed(ByteBuffer(string: ": OPENROUTER PROCESSING\n\nretry: 10\nevent: x\n\nnonsense\n\n")) == [])
        #expect(try parser.feed(ByteBuffer(string: "data: a\n\n")) == [SSEEvent(data: "a")])
    }

    @Test func `refuses a line or an event that is too large`() throws {
        var line = SSEParser(maximumBytes: 100)
        #expect(throws: LLMError(.protocolViolation, "")) {
            try line.feed(ByteBuffer(string: "data: " + String(repeating: "x", count: 100)))
        }
        var event = SSEParser(maximumBytes: 100)
        #expect(throws: LLMError(.protocolViolation, "")) {
            for _ in 0..<20 { _ = try event.feed(ByteBuffer(string: "data: 0123456789\n")) }
        }
    }
}
