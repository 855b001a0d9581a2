import LLMgineBus
import LLMgineCore
import LLMgineRouting
import LLMgineTransport
import NIOCore
import Synchronization

// A leaf answers requests like any other node: its responders become responders of this node, whose handler asks the leaf.
extension LeafRelay {
    /// The leaf answers requests.
    func openedResponder(_ entry: InterestEntry) {
        desk.responderAdded(entry, node: link.peer, link: link.id, over: link)
        let slots = Int(clamping: min(max(1, entry.windowMessages), LeafRelay.maximumSlots))
        let options = ResponderOptions(name: "for \(link.leaf)", group: entry.group, concurrency: slots)
        let responder = node.bus.relayResponder(entry.filters, options: options) { [self] message, context, writer in
            try await pass(on: message, context, writer)
        }
        let isStopped = state.withLock { state in
            if !state.isStopped { state.responders[entry.flow] = responder }
            return state.isStopped
        }
        if isStopped { Task { await responder.cancel() } }  // the leaf has gone meanwhile; it waits for handlers
    }

    /// Requests that one responder of a leaf may have from this node, whatever it offers.
    private static let maximumSlots: UInt64 = 1024

    private func pass(on message: Message, _ context: RequestContext, _ writer: ReplyWriter) async throws {
        guard link.mayReceive(message.topic) else {
            throw LLMgineError(.permissionDenied, "node \(link.peer) may not answer requests on \(message.topic)")
        }
        let origin = MessageID(node: context.requester, incarnation: Incarnation(0), sequence: 0)
        let answer = desk.passOn(message.stamped(with: origin), options: RequestOptions(deadline: context.deadline - .now))
        for try await reply in answer { try await writer.send(reply.payload, eventType: reply.eventType) }
    }

    /// The leaf takes no more requests on a flow.
    func closedResponder(_ flow: UInt32) {
        desk.responderRemoved(flow, link: link.id)
        let responder = state.withLock { $0.responders.removeValue(forKey: flow) }
        if let responder { Task { await responder.cancel() } }  // it waits for handlers, which the event loop must not
    }
}
