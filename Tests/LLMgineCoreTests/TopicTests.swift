import LLMgineCore
import Testing

@Suite struct `A topic` {
    @Test(arguments: [
        "a", "a.b", "orders.eu.placed", "ü.x", String(repeating: "a", count: 256), Array(repeating: "t", count: 32).joined(separator: "."),
    ])
    func `is accepted when it keeps the rules`(text: String) throws {
        #expect(try Topic(text).text == text)
    }

    @Test(arguments: [
        "", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\n", "a\u{7F}", "a.*", "a.>", "a*", String(repeating: "a", count: 257),
        Array(repeating: "t", count: 33).joined(separator: "."),
    ])
    func `is refused when it breaks one`(text: String) {
        #expect(throws: LLMgineError(.invalidArgument, "")) { try Topic(text) }
    }
}

@Suite struct `A filter` {
    @Test(arguments: [
        ("a", "a", true), ("a", "b", false), ("a", "a.b", false), ("a.b", "a", false), ("*", "a", true), ("*", "a.b", false),
        ("a.*.c", "a.b.c", true), ("a.*.c", "a.b.d", false), ("a.*.c", "a.b.c.d", false), ("a.*", "a", false), ("a.>", "a", false),
        ("a.>", "a.b", true), ("a.>", "a.b.c", true), (">", "a", true), (">", "a.b", true), ("*.*", "a.b", true), ("*.>", "a", false),
        ("*.>", "a.b.c", true), ("ab", "abc", false), ("abc", "ab", false), ("a.b.*", "a.b.cde", true),
    ])
    func `matches as NATS does`(filter: String, topic: String, expected: Bool) throws {
        #expect(try TopicFilter(filter).matches(Topic(topic)) == expected)
    }

    @Test(arguments: ["", "a..b", "a.>.b", ">.a", "a*", "a.b>", "**", "a. .b"])
    func `is refused when it breaks a rule`(text: String) {
        #expect(throws: LLMgineError(.invalidArgument, "")) { try TopicFilter(text) }
    }
}
