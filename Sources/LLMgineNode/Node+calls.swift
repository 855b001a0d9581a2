import LLMgineBroker
import LLMgineBus
package import LLMgineCore
import LLMgineObservability
package import LLMgineTransport
package import LLMgineWire
import Synchronization

// Long requests and replies, which come in parts.
extension Node {
    package func linkAnnounced(_ connection: LinkConnection, _ call: CallPartFrame.Whole) throws(LLMgineError) -> Bool {
        guard let link = link(LinkID(connection.id)) else { return false }
        switch call {
        case .request(let request):
            guard let responder = responder(request.flow, over: link) else {
                link.sendReplyError(request.request, LLMgineError(.peerLost, "the responder has just stopped"))
                return false
            }
            try link.spendSlot(responder, for: request.request, isAnnounced: true)
            return true
        case .reply(let reply): return desk(of: link).isOpen(reply.request, over: link.id)
        }
    }

    package func linkGaveUp(_ connection: LinkConnection, _ call: CallPartFrame.Whole, isExpired: Bool) {
        guard let link = link(LinkID(connection.id)) else { return }
        observability.metrics.counter(
            .callsCutShort,
            labels: [.init("peer", "\(link.peer)"), .init("reason", isExpired ? "expired" : "cancelled")]
        ).increment()
        guard case .request(let request) = call, link.forgetAnnounced(request.request) else { return }
        if isExpired {
            link.sendReplyError(request.request, LLMgineError(.deadlineExceeded, "its time was over before all of it was there"))
        }
        link.finished(request.request, flow: request.flow)
    }

    /// The responder that a peer's request names, or what stands for all of them at a leaf; nil if it has just stopped, which the peer will
    /// hear. One that the peer was never told of is not there for it: a leaf knows the one of its relay alone, and others no local one.
    func responder(_ flow: UInt32, over link: PeerLink) -> Responder? {
        guard !link.isLeaf else { return state.withLock { $0.relays[link.id] }?.responder(flow) }
        return bus.desk.responder(flow).flatMap { $0.options.isRemote ? $0 : nil }
    }
}
