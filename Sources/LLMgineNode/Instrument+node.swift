import LLMgineCore
public import LLMgineObservability

extension Instrument {
    /// Connections that were closed before a byte of them was read.
    public static let connectionsRefused = Instrument(
        .counter, "llmgine.connections.refused", unit: "{connection}", "Connections that were one too many, by reason.")
    /// How long this node's certificate is valid, and what it was issued by.
    public static let certificateExpiry = Instrument(
        .gauge, "llmgine.tls.certificate.expiry", unit: "s", "Seconds until this node's certificate or its authority ends.")
    /// Events that their publisher had been told were accepted and that came to nothing because a link or a subscription ended. Those that a subscription
    /// has at least once are sent again all the same.
    public static let linkLost = Instrument(
        .counter, "llmgine.link.lost", unit: "{event}", "Events that were lost as a link or a subscription ended, by peer and reason.")
    /// Long requests and replies, which come in parts, that came to nothing before all of it was there.
    public static let callsCutShort = Instrument(
        .counter, "llmgine.link.calls.cut_short", unit: "{message}",
        "Requests and replies of which a part had come when they were cancelled or their time was over, by peer and reason.")
}

extension Node {
    /// How an event came to nothing.
    enum LossReason: String {
        /// It waited for the peer when the link ended.
        case link
        /// It waited for the peer when the peer's subscription ended.
        case subscription
        /// It waited on the disk when the peer's subscription ended.
        case disk
        /// It came from the peer when the subscription here had ended.
        case late
    }

    func noteLost(_ count: Int, of peer: NodeID, _ reason: LossReason) {
        guard count > 0 else { return }
        let labels: [MetricsRegistry.Label] = [.init("peer", "\(peer)"), .init("reason", reason.rawValue)]
        observability.metrics.counter(.linkLost, labels: labels).increment(by: UInt64(count))
    }
}
