public import LLMgineCore

/// What one node, every node with a role, or everyone may publish or subscribe to.
///
/// ```swift
/// try TopicPermission("node shop may publish orders.> except orders.secret.>")
/// try TopicPermission("role worker may subscribe llmgine.llm.> tasks.*")
/// try TopicPermission("everyone may publish nothing")
/// ```
/// Without a rule everything is allowed: whoever has a certificate of the cluster belongs to it. Once one rule is about a node, be it by
/// its name, by a role or as one of everyone, only what some rule allows it is allowed, of both actions; and an exception of any of these
/// rules wins over every permission. The topics of the bus itself, `llmgine.>`, are topics like any other.
///
/// A role counts only if the node's certificate carries it (`llmgine certs issue --role`): what a node says of itself is not proof.
public struct TopicPermission: Sendable, Hashable {
    /// Whom a rule is about.
    public enum Subject: Sendable, Hashable {
        /// The node of this name, leaf or member.
        case node(NodeID)
        /// Every node whose certificate carries the role.
        case role(String)
        /// Every node.
        case everyone
    }

    /// What a rule is about.
    public enum Action: String, Sendable, Hashable, CaseIterable {
        /// Publish events, send requests and commands.
        case publish
        /// Receive events, answer requests and commands.
        case subscribe
    }

    /// Whom it is about.
    public var subject: Subject
    /// What it is about.
    public var action: Action
    /// What is allowed; empty for nothing.
    public var allowed: [TopicFilter]
    /// What is denied, whatever else is allowed.
    public var denied: [TopicFilter]

    /// Makes a rule.
    public init(_ subject: Subject, may action: Action, _ allowed: [TopicFilter], except denied: [TopicFilter] = []) {
        self.subject = subject
        self.action = action
        self.allowed = allowed
        self.denied = denied
    }

    /// Reads a rule: `node NAME`, `role NAME` or `everyone`, then `may publish` or `may subscribe`, then filters or `nothing`, then perhaps
    /// `except` and more filters.
    ///
    /// A slip must not open what a rule was to close. So the words `nothing`, `except`, `and`, `may`, `publish` and `subscribe`, in letters of any
    /// size, are no filters here, and no filter that is allowed may lie in another one that the same sentence allows.
    /// - Throws: `invalidConfiguration`, saying what is wrong with the sentence.
    public init(_ text: String) throws(LLMgineError) {
        var words = text.split(whereSeparator: \.isWhitespace).map(String.init)[...]
        func fault(_ reason: String) -> LLMgineError { LLMgineError(.invalidConfiguration, "\"\(text.printable)\": \(reason)") }
        switch words.popFirst() {
        case "everyone": subject = .everyone
        case "node":
            guard let name = words.popFirst(), let node = try? NodeID(name) else { throw fault("the name of a node comes after \"node\"") }
            subject = .node(node)
        case "role":
            guard let name = words.popFirst(), NodeID.isValid(name) else { throw fault("the name of a role comes after \"role\"") }
            subject = .role(name)
        default: throw fault("a rule begins with node, role or everyone")
        }
        guard words.popFirst() == "may", let action = words.popFirst().flatMap(Action.init) else {
            throw fault("\"may publish\" or \"may subscribe\" comes next")
        }
        self.action = action
        let parts = words.split(separator: "except", maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        let named = parts.first ?? []
        guard !named.isEmpty else { throw fault("topic filters come next, or \"nothing\"") }
        allowed = named == ["nothing"] ? [] : try TopicPermission.filters(named, fault)
        try TopicPermission.refuseContained(allowed, fault)
        guard parts.count > 1 else {
            denied = []
            return
        }
        guard !parts[1].isEmpty else { throw fault("topic filters come after \"except\"") }
        denied = try TopicPermission.filters(parts[1], fault)
    }

    private static func filters(_ words: [String], _ fault: (String) -> LLMgineError) throws(LLMgineError) -> [TopicFilter] {
        var filters: [TopicFilter] = []
        for word in words {
            guard !reserved.contains(word.lowercased()) else {
                throw fault("\"\(word)\" is no topic filter: it is a word of these sentences, in small letters and in its own place")
            }
            do throws(LLMgineError) { filters.append(try TopicFilter(word)) } catch { throw fault(error.detail) }
        }
        return filters
    }

    private static let reserved: Set<String> = ["nothing", "except", "and", "may", "publish", "subscribe"]

    /// A filter inside another one allows nothing more, so it was to be an exception.
    private static func refuseContained(_ filters: [TopicFilter], _ fault: (String) -> LLMgineError) throws(LLMgineError) {
        for (index, filter) in filters.enumerated() {
            for (place, other) in filters.enumerated() where place != index && filter.covers(other) {
                throw fault("\"\(other.text)\" is already in \"\(filter.text)\": is \"except\" meant?")
            }
        }
    }
}

extension TopicPermission: CustomStringConvertible {
    /// The rule as ``init(_:)`` reads it.
    public var description: String {
        let exception = denied.isEmpty ? "" : " except \(denied.map(\.text).joined(separator: " "))"
        return "\(subject) may \(action.rawValue) \(allowed.isEmpty ? "nothing" : allowed.map(\.text).joined(separator: " "))\(exception)"
    }
}

extension TopicPermission.Subject: CustomStringConvertible {
    /// As a rule begins.
    public var description: String {
        switch self {
        case .node(let node): "node \(node)"
        case .role(let role): "role \(role)"
        case .everyone: "everyone"
        }
    }
}
