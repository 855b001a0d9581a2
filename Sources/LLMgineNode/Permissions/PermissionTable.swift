package import LLMgineCore

/// The rules of a node about who may publish and receive what. Pure: it knows names, roles and topics.
package struct PermissionTable: Sendable, Hashable {
    package let rules: [TopicPermission]

    package init(_ rules: [TopicPermission]) { self.rules = rules }

    /// What a node is allowed; nil if no rule is about it, and so everything.
    /// - Parameter roles: those that its certificate carries.
    package func grant(for node: NodeID, roles: [String]) -> TopicGrant? {
        let about = rules.filter { rule in
            switch rule.subject {
            case .node(let name): name == node
            case .role(let role): roles.contains(role)
            case .everyone: true
            }
        }
        guard !about.isEmpty else { return nil }
        return TopicGrant(
            publish: Allowance(rules: about.filter { $0.action == .publish }),
            subscribe: Allowance(rules: about.filter { $0.action == .subscribe }))
    }

    /// What an operator might not have meant, one sentence each.
    package var remarks: [String] {
        let subjects = Set(rules.map(\.subject)).sorted { "\($0)" < "\($1)" }
        return subjects.flatMap { subject in
            TopicPermission.Action.allCases.compactMap { action in
                guard !rules.contains(where: { $0.action == action && ($0.subject == subject || $0.subject == .everyone) }) else {
                    return nil
                }
                return "permissions: no rule lets \(subject) \(action.rawValue) anything, so it may not"
            }
        }
    }
}

/// What one node is allowed.
package struct TopicGrant: Sendable, Hashable {
    package let publish: Allowance
    package let subscribe: Allowance

    /// What it is, for people: a line an action.
    package var explanation: [String] {
        [("publish", publish), ("subscribe to", subscribe)].map { verb, allowance in
            guard !allowance.rules.isEmpty else { return "may \(verb) nothing: no rule allows it" }
            return "may \(verb): \(allowance.rules.map { "\"\($0)\"" }.joined(separator: ", "))"
        }
    }
}

/// What one node is allowed of one action: what some rule allows and none excepts.
package struct Allowance: Sendable, Hashable {
    package let rules: [TopicPermission]

    package init(rules: [TopicPermission]) { self.rules = rules }

    /// Whether the very topic is allowed.
    package func permits(_ topic: Topic) -> Bool {
        !rules.contains { $0.denied.contains { $0.matches(topic) } } && rules.contains { $0.allowed.contains { $0.matches(topic) } }
    }

    /// Why the topic is not allowed; nil if it is.
    package func refusal(of topic: Topic) -> String? {
        for rule in rules {
            if let filter = rule.denied.first(where: { $0.matches(topic) }) { return "the rule \"\(rule)\" excepts \(filter)" }
        }
        guard !rules.contains(where: { $0.allowed.contains { $0.matches(topic) } }) else { return nil }
        return rules.isEmpty ? "no rule allows it" : "no rule allows it: \(rules.map { "\"\($0)\"" }.joined(separator: ", "))"
    }

    /// Whether the filter could match a topic that is allowed. If it could, what it matches is judged by topic.
    package func permits(someOf filter: TopicFilter) -> Bool {
        let denied = rules.flatMap(\.denied)
        guard !denied.contains(where: { $0.covers(filter) }) else { return false }
        return rules.flatMap(\.allowed).contains { allowed in
            allowed.overlaps(filter) && !denied.contains { $0.covers(allowed) }
        }
    }
}
