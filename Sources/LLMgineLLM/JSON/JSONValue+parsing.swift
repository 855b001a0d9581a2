public import LLMgineCore
public import NIOCore

// RFC 8259, read strictly: no comments, no trailing commas, no bare control characters. What Foundation's coder adds is not needed here, and
// without it a pure module stays pure and a stream chunk costs about a microsecond.

extension JSONValue {
    /// The deepest nesting of arrays and objects that is read, so that hostile input cannot exhaust the stack.
    public static let maximumDepth = 128

    /// Reads one JSON text.
    /// - Throws: `badPayload`, naming the fault and its byte offset, never the content.
    public init(parsing text: String) throws(LLMgineError) {
        // A native string hands out its bytes without a copy.
        self = try JSONParser.parse(text.utf8.span)
    }

    /// Reads one JSON text from all readable bytes of a buffer.
    /// - Throws: `badPayload`, naming the fault and its byte offset, never the content.
    public init(parsing buffer: ByteBuffer) throws(LLMgineError) {
        self = try JSONParser.parse(buffer.readableBytesUInt8Span)
    }
}

/// A recursive descent over the bytes of one JSON text. The span is passed along and not stored.
private struct JSONParser {
    private var at = 0
    private var depth = 0

    static func parse(_ bytes: Span<UInt8>) throws(LLMgineError) -> JSONValue {
        var parser = JSONParser()
        let value = try parser.value(bytes)
        parser.skipSpace(bytes)
        guard parser.at == bytes.count else { throw parser.fault("has bytes after its value") }
        return value
    }

    private func fault(_ what: String) -> LLMgineError { LLMgineError(.badPayload, "JSON \(what) at byte \(at)") }

    private func peek(_ bytes: Span<UInt8>) -> UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace(_ bytes: Span<UInt8>) {
        while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 }
    }

    private mutating func value(_ bytes: Span<UInt8>) throws(LLMgineError) -> JSONValue {
        skipSpace(bytes)
        switch peek(bytes) {
        case UInt8(ascii: "{"): return try nested(bytes) { parser, bytes throws(LLMgineError) in try parser.object(bytes) }
        case UInt8(ascii: "["): return try nested(bytes) { parser, bytes throws(LLMgineError) in try parser.array(bytes) }
        case UInt8(ascii: "\""): return .string(try string(bytes))
        case UInt8(ascii: "t"): return try word("true", .bool(true), bytes)
        case UInt8(ascii: "f"): return try word("false", .bool(false), bytes)
        case UInt8(ascii: "n"): return try word("null", .null, bytes)
        case UInt8(ascii: "-"): return try number(bytes)
        case let byte? where byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"): return try number(bytes)
        case nil: throw fault("ends early")
        case _?: throw fault("has an unexpected character")
        }
    }

    private mutating func nested(
        _ bytes: Span<UInt8>, _ body: (inout JSONParser, Span<UInt8>) throws(LLMgineError) -> JSONValue
    ) throws(LLMgineError) -> JSONValue {
        depth += 1
        guard depth <= JSONValue.maximumDepth else { throw fault("is nested deeper than \(JSONValue.maximumDepth)") }
        at += 1
        let value = try body(&self, bytes)
        depth -= 1
        return value
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue, _ bytes: Span<UInt8>) throws(LLMgineError) -> JSONValue {
        for byte in word.description.utf8 {
            guard peek(bytes) == byte else { throw fault("has an unexpected character") }
            at += 1
        }
        return value
    }

    private mutating func array(_ bytes: Span<UInt8>) throws(LLMgineError) -> JSONValue {
        var elements: [JSONValue] = []
        skipSpace(bytes)
        if peek(bytes) == UInt8(ascii: "]") {
            at += 1
            return .array([])
        }
        while true {
            elements.append(try value(bytes))
            if try closes(with: UInt8(ascii: "]"), bytes) { return .array(elements) }
        }
    }

    private mutating func object(_ bytes: Span<UInt8>) throws(LLMgineError) -> JSONValue {
        var members: [JSONObject.Member] = []
        skipSpace(bytes)
        if peek(bytes) == UInt8(ascii: "}") {
            at += 1
            return .object(JSONObject())
        }
        while true {
            skipSpace(bytes)
            guard peek(bytes) == UInt8(ascii: "\"") else { throw fault("has a member without a name") }
            let name = try string(bytes)
            skipSpace(bytes)
            guard peek(bytes) == UInt8(ascii: ":") else { throw fault("has a member without a value") }
            at += 1
            members.append(JSONObject.Member(name: name, value: try value(bytes)))
            if try closes(with: UInt8(ascii: "}"), bytes) { return .object(JSONObject(members: members)) }
        }
    }

    /// Reads the comma or the bracket after an element.
    private mutating func closes(with bracket: UInt8, _ bytes: Span<UInt8>) throws(LLMgineError) -> Bool {
        skipSpace(bytes)
        guard let byte = peek(bytes) else { throw fault("ends early") }
        guard byte == bracket || byte == UInt8(ascii: ",") else { throw fault("has an unexpected character") }
        at += 1
        return byte == bracket
    }

    // MARK: Numbers

    private mutating func number(_ bytes: Span<UInt8>) throws(LLMgineError) -> JSONValue {
        let start = at
        if peek(bytes) == UInt8(ascii: "-") { at += 1 }
        let leading = peek(bytes)
        let whole = digits(bytes)
        guard whole > 0, whole == 1 || leading != UInt8(ascii: "0") else { throw fault("has a malformed number") }
        var isInteger = true
        if peek(bytes) == UInt8(ascii: ".") {
            isInteger = false
            at += 1
            guard digits(bytes) > 0 else { throw fault("has a malformed number") }
        }
        if peek(bytes) == UInt8(ascii: "e") || peek(bytes) == UInt8(ascii: "E") {
            isInteger = false
            at += 1
            if peek(bytes) == UInt8(ascii: "+") || peek(bytes) == UInt8(ascii: "-") { at += 1 }
            guard digits(bytes) > 0 else { throw fault("has a malformed number") }
        }
        let text = ascii(bytes, start..<at)
        if isInteger {
            if let value = Int64(text) { return .integer(value) }
            if let value = UInt64(text) { return .unsigned(value) }
        }
        guard let value = Double(text), value.isFinite else { throw fault("has a number out of range") }
        return .double(value)
    }

    private mutating func digits(_ bytes: Span<UInt8>) -> Int {
        let start = at
        while at < bytes.count, bytes[at] >= UInt8(ascii: "0"), bytes[at] <= UInt8(ascii: "9") { at += 1 }
        return at - start
    }

    private func ascii(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        var text = ""
        for index in range { text.unicodeScalars.append(Unicode.Scalar(bytes[index])) }
        return text
    }

    // MARK: Strings

    private mutating func string(_ bytes: Span<UInt8>) throws(LLMgineError) -> String {
        at += 1  // the opening quote, which the caller saw
        let start = at
        while let byte = peek(bytes) {
            if byte == UInt8(ascii: "\"") {
                let text = try validated(bytes.extracting(start..<at))
                at += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(bytes, from: start) }
            guard byte >= 0x20 else { throw fault("has a control character in a string") }
            at += 1
        }
        throw fault("ends early")
    }

    private func validated(_ bytes: Span<UInt8>) throws(LLMgineError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes))
        } catch {
            throw fault("has invalid UTF-8 in the string that ends")
        }
    }

    /// The slow path: a string with at least one escape, which begins at `start` and was read up to the first backslash.
    private mutating func escapedString(_ bytes: Span<UInt8>, from start: Int) throws(LLMgineError) -> String {
        var result: [UInt8] = []
        for index in start..<at { result.append(bytes[index]) }
        while let byte = peek(bytes) {
            at += 1
            if byte == UInt8(ascii: "\"") { return try validated(result.span) }
            guard byte >= 0x20 else { throw fault("has a control character in a string") }
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            result.append(contentsOf: String(try escape(bytes)).utf8)
        }
        throw fault("ends early")
    }

    private mutating func escape(_ bytes: Span<UInt8>) throws(LLMgineError) -> Unicode.Scalar {
        guard let byte = peek(bytes) else { throw fault("ends early") }
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape(bytes)
        default: throw fault("has an unknown escape")
        }
    }

    /// Joins a surrogate pair. A surrogate without its partner, which a stream cut inside an emoji produces, becomes U+FFFD.
    private mutating func unicodeEscape(_ bytes: Span<UInt8>) throws(LLMgineError) -> Unicode.Scalar {
        let unit = try hexUnit(bytes)
        if let scalar = Unicode.Scalar(UInt32(unit)) { return scalar }
        guard unit < 0xDC00, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") else {
            return "\u{FFFD}"
        }
        let mark = at
        at += 2
        let low = try hexUnit(bytes)
        guard low >= 0xDC00, low <= 0xDFFF else {
            at = mark
            return "\u{FFFD}"
        }
        return Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00)) ?? "\u{FFFD}"
    }

    private mutating func hexUnit(_ bytes: Span<UInt8>) throws(LLMgineError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek(bytes), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw fault("has a malformed escape")
            }
            unit = unit << 4 | UInt16(digit)
            at += 1
        }
        return unit
    }
}
