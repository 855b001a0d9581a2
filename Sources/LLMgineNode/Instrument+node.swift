import LLMgineCore
public import LLMgineObservability

extension Instrument {
    /// Connections that were closed before a byte of them was read.
    public static let connectionsRefused = Instrument(
        .counter, "llmgine.connections.refused", unit: "{connection}", "Connections that were one too many, by reason.")
    /// How long this node's certificate is valid.
    public static let certificateExpiry = Instrument(
        .gauge, "llmgine.tls.certificate.expiry", unit: "s", "Seconds until this node's certificate ends.")
    /// Events that their publisher had been told were accepted and that had not been sent when what they waited for ended. Events that are
    /// delivered at least once are not among them: they are kept.
    public static let linkLost = Instrument(
        .counter, "llmgine.link.lost", unit: "{event}",
        "Events that waited for a peer when their link or subscription ended, by peer and reason.")
}

extension Node {
    /// Why events that waited for a peer are not sent any more.
    enum LossReason: String {
        case link
        case subscription
    }

    func noteLost(_ count: Int, to peer: NodeID, _ reason: LossReason) {
        guard count > 0 else { return }
        let labels: [MetricsRegistry.Label] = [.init("peer", "\(peer)"), .init("reason", reason.rawValue)]
        observability.metrics.counter(.linkLost, labels: labels).increment(by: UInt64(count))
    }
}
