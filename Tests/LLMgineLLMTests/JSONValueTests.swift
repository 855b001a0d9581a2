import Foundation
import LLMgineCore
import LLMgineLLM
import NIOCore
import Testing

@Suite struct `A JSON value` {
    @Test(arguments: [
        "null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "1.5", "1e+20", "\"\"",
        "\"a\\\"b\\\\c\\n\\r\\t\\u0001\"", "\"ü€😀\"", "[]", "{}", "[1,[2,{\"a\":null}],\"x\"]", "{\"z\":1,\"a\":{\"y\":[]},\"m\":\"\"}",
    ])
    func `is written as it was read, members in order`(text: String) throws {
        #expect(try JSONValue(parsing: text).text == text)
    }

    @Test(arguments: [
        (" [ 1 , 2 ] ", "[1,2]"), ("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"),
        ("\"\\u00fc\\ud83d\\ude00\\/\\b\\f\"", "\"ü😀/\\u0008\\u000c\""),
        ("\"\\ud83d\"", "\"\u{FFFD}\""), ("\"\\ude00x\"", "\"\u{FFFD}x\""), ("\"\\ud83d\\u0041\"", "\"\u{FFFD}A\""), ("1E2", "100.0"),
        ("-0", "0"), ("18446744073709551616", "1.8446744073709552e+19"),
    ])
    func `is read tolerantly where the standard leaves room`(text: String, expected: String) throws {
        #expect(try JSONValue(parsing: text).text == expected)
    }

    @Test(arguments: [
        "", " ", "nul", "tru", "[", "[1", "[1,", "[1,]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{1:2}", "01", "-", "1.", ".5",
        "1e", "+1",
        "1 2", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\nb\"", "1e999", "NaN", "'a'", "[1}", "// c\n1",
    ])
    func `is refused when it is malformed`(text: String) {
        #expect(throws: LLMgineError(.badPayload, "")) { try JSONValue(parsing: text) }
    }

    @Test func `is refused when its text is no UTF-8`() {
        #expect(throws: LLMgineError(.badPayload, "")) { try JSONValue(parsing: ByteBuffer(bytes: [0x22, 0xC3, 0x28, 0x22])) }
        #expect(throws: LLMgineError(.badPayload, "")) { try JSONValue(parsing: ByteBuffer(bytes: [0x22, 0x5C, 0x6E, 0xFF, 0x22])) }
    }

    @Test func `is refused when it is nested too deep, without exhausting the stack`() throws {
        let deep = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(throws: Never.self) { try JSONValue(parsing: deep(JSONValue.maximumDepth)) }
        #expect(throws: LLMgineError(.badPayload, "")) { try JSONValue(parsing: deep(1_000_000)) }
    }

    @Test func `never traps on a cut or corrupted text`() {
        let text = Array("{\"a\":[1,-2.5e3,true,null,\"x\\u00fc\\ud83d\\ude00\\n\"],\"b\":{\"c\":18446744073709551615}}".utf8)
        for end in text.indices {
            #expect(throws: LLMgineError(.badPayload, "")) { try JSONValue(parsing: ByteBuffer(bytes: text[..<end])) }
            for byte: UInt8 in [0, 0x22, 0x5B, 0x5D, 0x7B, 0x80, 0xFF, 0x2D, 0x65] {
                var corrupted = text
                corrupted[end] = byte
                _ = try? JSONValue(parsing: ByteBuffer(bytes: corrupted))
            }
        }
    }

    @Test func `finds repeated names in linear time`() throws {
        let members = (0..<20_000).map { "\"k\($0 % 15_000)\":\($0)" }.joined(separator: ",")
        let object = try #require(try JSONValue(parsing: "{\(members)}").object)
        #expect(object.count == 15_000)
        #expect(object["k0"] == 15_000)
    }

    @Test func `equals another with the same members in any order`() throws {
        let one: JSONValue = ["a": 1, "b": [2, nil]]
        let other: JSONValue = ["b": [2, nil], "a": 1]
        #expect(one == other)
        #expect(one.hashValue == other.hashValue)
        #expect(one != ["a": 1, "b": [2, 3]])
        #expect(one != ["a": 1])
    }

    @Test func `passes through Foundation's coder with exact integers`() throws {
        let value: JSONValue = ["a": [1, 2.5, "x", nil, true], "b": .unsigned(.max), "c": .integer(.min)]
        #expect(try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value)) == value)
    }
}
