import LLMgineBroker
import LLMgineBus
package import LLMgineCore
import LLMgineRouting
package import LLMgineTransport
import Logging
import Synchronization

/// Holds this node, its peers and its leaves to the topic permissions.
///
/// A publisher is checked where it publishes, and by every node that it reaches: neither believes that the other has done it. Both look at the
/// literal topic of each message, so a wildcard, a queue group or a replay is no way around a rule.
extension Node {
    /// Has the bus hold this node to its own rules. What a peer may receive, its link knows.
    func enforcePermissions() {
        guard !permissions.rules.isEmpty else { return }
        let (name, own, table) = (configuration.name, ownGrant, permissions)
        bus.enforce(
            TopicRules(
                publish: { topic in
                    own?.publish.refusal(of: topic).map {
                        LLMgineError(.permissionDenied, "node \(name) may not publish on \(topic): \($0)")
                    }
                },
                subscribe: { filters in
                    guard let own, !filters.contains(where: own.subscribe.permits(someOf:)) else { return nil }
                    return LLMgineError(
                        .permissionDenied,
                        "node \(name) may not subscribe to \(filters.map(\.text).joined(separator: ", ")): \(own.explanation[1])")
                },
                receive: { own?.subscribe.permits($0) ?? true },
                replay: { publisher, topic in
                    // Its certificate is not at hand any more, so the rules about its name and about everyone are what is left.
                    let grant = publisher == name ? own : table.grant(for: publisher, roles: [])
                    return own?.subscribe.permits(topic) ?? true && grant?.publish.permits(topic) ?? true
                }))
    }

    /// New certificates are about to be used, which may carry other roles. By one caller at a time.
    func certified(_ roles: [String]) {
        let grant = permissions.grant(for: configuration.name, roles: roles)
        let isNew = certifiedGrant.withLock { known in
            defer { known = grant }
            return known != grant
        }
        if isNew { enforcePermissions() }
    }

    /// Whether a peer may say something on a topic here: it may publish it and, unless it is passed on for a leaf, this node may receive it.
    package func linkRules(_ connection: LinkConnection) -> (@Sendable (Topic) -> Bool)? {
        guard let link = link(LinkID(connection.id)) else { return nil }
        let own = link.isLeaf ? nil : ownGrant?.subscribe
        guard link.grant != nil || own != nil else { return nil }
        return { [publish = link.grant?.publish] topic in publish?.permits(topic) ?? true && own?.permits(topic) ?? true }
    }

    /// Whether a peer's interest must not be served: all it could get is denied. Noted once, and shown in the status until it is withdrawn.
    func refuses(_ entry: InterestEntry, of link: PeerLink) -> Bool {
        guard let grant = link.grant?.subscribe, !entry.filters.contains(where: grant.permits(someOf:)) else { return false }
        link.refused(entry)
        bus.noteDenied("subscribe", of: link.peer)
        if link.isFirstDenial(of: .subscribe) {
            logger.warning(
                "refused a peer's subscription",
                metadata: [
                    "peer": "\(link.peer)", "filters": "\(entry.filters.map(\.text).joined(separator: " "))",
                    "rules": "\(link.grant?.explanation[1] ?? "")",
                ])
        }
        return true
    }

    /// What a peer has said on topics that it may not, or that this node may not hear.
    func noteRefused(_ count: Int, on topic: Topic?, of link: PeerLink) {
        bus.noteDenied("deliver", of: link.peer, count: count)
        guard link.isFirstDenial(of: .publish) else { return }
        logger.warning(
            "refused what a peer has published",
            metadata: ["peer": "\(link.peer)", "topic": "\(topic?.text ?? "several")", "rules": "\(link.grant?.explanation[0] ?? "")"])
    }

    /// Why a request of a peer is not handed to a responder; nil if it is.
    func refusal(of topic: Topic, askedOver link: PeerLink) -> LLMgineError? {
        if link.isLeaf, topic == Node.rulesTopic { return nil }  // it asks what its rules are
        if let reason = link.grant?.publish.refusal(of: topic) {
            return LLMgineError(.permissionDenied, "node \(link.peer) may not send requests on \(topic): \(reason)")
        }
        guard !link.isLeaf, let reason = ownGrant?.subscribe.refusal(of: topic) else { return nil }
        return LLMgineError(.permissionDenied, "node \(configuration.name) may not answer requests on \(topic): \(reason)")
    }
}
