package import LLMgineCore
import LLMgineObservability

/// What this node may do on which topics. Asked when the route of a topic is made, so a publish asks nothing.
package struct TopicRules: Sendable {
    /// Why this node may not publish on the topic; nil if it may.
    let publish: @Sendable (Topic) -> LLMgineError?
    /// Why this node may not subscribe; nil if some topic of a filter may be for it.
    let subscribe: @Sendable ([TopicFilter]) -> LLMgineError?
    /// Whether this node's own subscriptions and responders may get what is published on the topic.
    let receive: @Sendable (Topic) -> Bool
    /// Whether what a node has published on the topic, maybe long ago, may still be handled here.
    let replay: @Sendable (NodeID, Topic) -> Bool

    package init(
        publish: @escaping @Sendable (Topic) -> LLMgineError?, subscribe: @escaping @Sendable ([TopicFilter]) -> LLMgineError?,
        receive: @escaping @Sendable (Topic) -> Bool, replay: @escaping @Sendable (NodeID, Topic) -> Bool
    ) {
        self.publish = publish
        self.subscribe = subscribe
        self.receive = receive
        self.replay = replay
    }
}

extension MessageBus {
    /// Holds everything on this bus to the rules from now on. A bus without rules pays for none.
    package func enforce(_ rules: TopicRules) { router.enforce(rules) }

    /// Counts what a rule denied.
    /// - Parameter peer: the node that wanted it.
    package func noteDenied(_ action: String, of peer: NodeID, count: Int = 1) {
        guard count > 0 else { return }
        services.metrics.counter(.permissionsDenied, labels: [.init("action", action), .init("peer", peer.name)])
            .increment(by: UInt64(count))
    }

    /// The refusal, counted.
    func denied(_ refusal: LLMgineError, _ action: String) -> LLMgineError {
        noteDenied(action, of: node)
        return refusal
    }

    /// - Throws: `permissionDenied` if no topic of the filters may be for this node.
    func checkSubscribing(to filters: [TopicFilter]) throws(LLMgineError) {
        if let refusal = router.rules?.subscribe(filters) { throw denied(refusal, "subscribe") }
    }

    /// - Throws: `permissionDenied` if this node may not send requests on the topic.
    func checkRequesting(on topic: Topic) throws(LLMgineError) {
        if let refusal = router.rules?.publish(topic) { throw denied(refusal, "request") }
    }

    /// Nodes whose responders must not see a request on the topic, whatever their filters match.
    func barred(from topic: Topic) -> Set<NodeID> {
        guard let rules = router.rules else { return [] }
        var barred = desk.peers { !$0.mayReceive(topic) }
        if !rules.receive(topic) { barred.insert(node) }
        return barred
    }
}
