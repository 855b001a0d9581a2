import LLMgine

/// What nodes, subscriptions and topics are called.
enum Chaos {
    /// How a subscription of every node behaves that has its events at most once, by its number.
    enum Behaviour: Int, CaseIterable {
        /// Waited for, and quick.
        case quick
        /// Lets the oldest go, and takes a few milliseconds now and then.
        case slow
        /// Lets the oldest go, and does not return for as long as the orchestrator says.
        case frozen
        /// Throws on some events, which end in the dead letters.
        case failing

        var name: String { "chaos-\(rawValue)" }
    }

    /// What is promised about events that a subscription has at least once, by its number.
    enum Strength: Int, CaseIterable {
        /// Kept by the publisher's process until they are processed.
        case kept
        /// In the journal of the publisher before its publish returns.
        case durable

        var name: String { "chaos-\(self)" }

        /// The subscription of this name, or of a name with a node before it, as publishers have it in their dead letters.
        init?(subscription: String) {
            guard let strength = Strength.allCases.first(where: { subscription == $0.name || subscription.hasSuffix("/\($0.name)") })
            else { return nil }
            self = strength
        }

        func topic(to target: Int, from publisher: Int) -> Topic {
            Topic(stringLiteral: "\(self).\(name(target)).\(name(publisher))")
        }
        func filter(of node: Int) -> TopicFilter { TopicFilter(stringLiteral: "\(self).\(name(node)).>") }
        private func name(_ node: Int) -> String { Chaos.name(node) }
    }

    static let topics = 3
    /// The node that publishes durably.
    static let durableNode = 0

    /// Where every node answers requests.
    static let callTopic: Topic = "calls.work"
    static let callFilter: TopicFilter = "calls.work"
    static let callDeadline = Duration.seconds(5)

    static func name(_ node: Int) -> String { "n\(node)" }
    static func number(of name: String) -> Int? { name.hasPrefix("n") ? Int(name.dropFirst()) : nil }
    static func topic(to target: Int, from publisher: Int, _ number: Int) -> Topic {
        Topic(stringLiteral: "chaos.\(name(target)).\(name(publisher)).\(number)")
    }
    static func filter(of node: Int) -> TopicFilter { TopicFilter(stringLiteral: "chaos.\(name(node)).>") }
}
