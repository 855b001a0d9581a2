/// Where an event is published: tokens joined by dots, as in `orders.eu.placed`.
///
/// A topic has 1 to 32 tokens and at most 256 bytes of UTF-8. A token is not empty and holds no white space, no control
/// character and neither `*` nor `>`, which belong to ``TopicFilter``. The rules are those of NATS subjects, with the limits that NATS
/// leaves open.
public struct Topic: Sendable {
    /// The most bytes of UTF-8 that a topic or filter may have.
    public static let maximumBytes = 256
    /// The most tokens that a topic or filter may have.
    public static let maximumTokens = 32

    /// The topic as written.
    public let text: String
    /// FNV-1a over the bytes of the text, computed once, so that a look-up per event hashes nothing.
    package let fingerprint: UInt64

    /// Takes a topic from text that a program made or received.
    /// - Throws: `invalidArgument`, naming the rule that the text breaks.
    public init(_ text: String) throws(LLMgineError) {
        if let fault = TopicGrammar.fault(in: text, wildcards: false) {
            throw LLMgineError(.invalidArgument, "topic \"\(text.printable)\": \(fault)")
        }
        self.text = text
        self.fingerprint = TopicGrammar.fingerprint(of: text)
    }
}

extension Topic: ExpressibleByStringLiteral {
    /// Takes a topic written in the program's own source.
    /// - Precondition: the literal is a topic. Text from anywhere else goes through the throwing initialiser.
    public init(stringLiteral value: String) {
        if let fault = TopicGrammar.fault(in: value, wildcards: false) {
            preconditionFailure("topic \"\(value)\": \(fault)")
        }
        self.text = value
        self.fingerprint = TopicGrammar.fingerprint(of: value)
    }
}

extension Topic: Hashable, Comparable, CustomStringConvertible {
    /// Topics are equal when their texts are.
    public static func == (one: Topic, other: Topic) -> Bool { one.fingerprint == other.fingerprint && one.text == other.text }
    /// Orders topics by text.
    public static func < (one: Topic, other: Topic) -> Bool { one.text < other.text }
    /// Hashes the fingerprint.
    public func hash(into hasher: inout Hasher) { hasher.combine(fingerprint) }
    /// The topic as written.
    public var description: String { text }
}

extension Topic: Codable {
    /// Decodes from a single string. - Throws: `invalidArgument` for text that is not a topic.
    public init(from decoder: any Decoder) throws { try self.init(try decoder.singleValueContainer().decode(String.self)) }
    /// Encodes as a single string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// The one description of what topics and filters may look like.
enum TopicGrammar {
    /// What is wrong with the text, or nil. `wildcards` allows `*` for one whole token and `>` as the whole last token.
    static func fault(in text: String, wildcards: Bool) -> String? {
        let bytes = text.utf8.span
        guard bytes.count > 0 else { return "is empty" }
        guard bytes.count <= Topic.maximumBytes else { return "is longer than \(Topic.maximumBytes) bytes" }
        var tokens = 1
        var start = 0  // of the current token
        var wildcard: UInt8? = nil
        for index in 0...bytes.count {
            let byte = index < bytes.count ? bytes[index] : dot
            if byte == dot {
                guard index > start else { return "has an empty token" }
                if wildcard != nil, index - start != 1 { return "has a wildcard inside a longer token" }
                guard index < bytes.count else { break }
                if wildcard == tail { return "has '>' before its last token" }
                wildcard = nil
                tokens += 1
                start = index + 1
                continue
            }
            if byte <= 0x20 || byte == 0x7F { return "has white space or a control character" }
            if byte == star || byte == tail {
                guard wildcards else { return "has a wildcard, which only a filter may have" }
                wildcard = byte
            }
        }
        return tokens <= Topic.maximumTokens ? nil : "has more than \(Topic.maximumTokens) tokens"
    }

    static func fingerprint(of text: String) -> UInt64 {
        let bytes = text.utf8.span
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in bytes.indices {
            hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3
        }
        return hash
    }

    static let dot = UInt8(ascii: ".")
    static let star = UInt8(ascii: "*")
    static let tail = UInt8(ascii: ">")
}

extension String {
    /// The text with control characters replaced and cut to 80 characters, fit for a log line or an error.
    package var printable: String {
        var result = ""
        for (count, scalar) in unicodeScalars.enumerated() {
            guard count < 80 else { return result + "..." }
            result.unicodeScalars.append(scalar.properties.generalCategory == .control ? "?" : scalar)
        }
        return result
    }
}
