/// Which topics a subscription wants: a topic in which `*` stands for exactly one token and a final `>` for one or more.
///
/// `orders.*.placed` matches `orders.eu.placed`; `orders.>` matches `orders.eu` and `orders.eu.placed`, but not `orders`.
public struct TopicFilter: Sendable {
    /// The filter as written.
    public let text: String
    /// Whether the filter has a wildcard.
    public let hasWildcard: Bool

    /// Takes a filter from text that a program made or received.
    /// - Throws: `invalidArgument`, naming the rule that the text breaks.
    public init(_ text: String) throws(LLMgineError) {
        if let fault = TopicGrammar.fault(in: text, wildcards: true) {
            throw LLMgineError(.invalidArgument, "filter \"\(text.printable)\": \(fault)")
        }
        self.init(checked: text)
    }

    /// The filter that matches exactly one topic.
    public init(_ topic: Topic) { self.init(checked: topic.text) }

    private init(checked text: String) {
        self.text = text
        self.hasWildcard = text.utf8.contains(TopicGrammar.star) || text.utf8.contains(TopicGrammar.tail)
    }

    /// Whether an event on the topic is wanted. Linear in the length of both; the bus matches through a trie instead.
    public func matches(_ topic: Topic) -> Bool {
        let filter = text.utf8.span
        let topic = topic.text.utf8.span
        guard hasWildcard else {
            guard filter.count == topic.count else { return false }
            for index in filter.indices where filter[index] != topic[index] { return false }
            return true
        }
        var at = 0  // in the filter
        var position = 0  // in the topic
        while at < filter.count, position < topic.count {
            if filter[at] == TopicGrammar.tail { return true }
            if filter[at] == TopicGrammar.star {
                at += 1
                while position < topic.count, topic[position] != TopicGrammar.dot { position += 1 }
            } else {
                while at < filter.count, position < topic.count, filter[at] == topic[position], filter[at] != TopicGrammar.dot {
                    at += 1
                    position += 1
                }
            }
            // Both must stand at the end of a token.
            let filterEnds = at == filter.count
            let topicEnds = position == topic.count
            if filterEnds || topicEnds { return filterEnds && topicEnds }
            guard filter[at] == TopicGrammar.dot, topic[position] == TopicGrammar.dot else { return false }
            at += 1
            position += 1
        }
        return false
    }
}

extension TopicFilter: ExpressibleByStringLiteral {
    /// Takes a filter written in the program's own source.
    /// - Precondition: the literal is a filter. Text from anywhere else goes through the throwing initialiser.
    public init(stringLiteral value: String) {
        if let fault = TopicGrammar.fault(in: value, wildcards: true) {
            preconditionFailure("filter \"\(value)\": \(fault)")
        }
        self.init(checked: value)
    }
}

extension TopicFilter: Hashable, CustomStringConvertible {
    /// Filters are equal when their texts are.
    public static func == (one: TopicFilter, other: TopicFilter) -> Bool { one.text == other.text }
    /// Hashes the text.
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
    /// The filter as written.
    public var description: String { text }
}

extension TopicFilter: Codable {
    /// Decodes from a single string. - Throws: `invalidArgument` for text that is not a filter.
    public init(from decoder: any Decoder) throws { try self.init(try decoder.singleValueContainer().decode(String.self)) }
    /// Encodes as a single string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
