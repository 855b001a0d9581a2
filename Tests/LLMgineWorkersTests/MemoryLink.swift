import LLMgineBroker
import LLMgineBus
import LLMgineCore
import LLMgineRouting
import Synchronization

/// Joins two buses of one process as a link would, for requests from one to the responders of the other. A test can cut it.
final class MemoryLink: RemoteLink {
    /// Where the requests come from, or where the answers go.
    private let near: MessageBus
    private let far: MessageBus
    private let id: LinkID
    private let running = Mutex<[UInt64: IncomingRequest]>([:])
    private let grants = Mutex<[UInt32: UInt64]>([:])
    private let isCut = Mutex(false)

    /// What the responders of `far` need to answer over this link.
    private final class Back: RemoteLink {
        let link: MemoryLink
        init(_ link: MemoryLink) { self.link = link }

        var peer: NodeID { link.near.node }
        func route(flows: [UInt32]) -> any RemoteRoute { fatalError("no events go over this link") }
        func sendRequest(_ request: UInt64, flow: UInt32, deadline: Duration, replyWindow: UInt64, _ message: Message) throws(LLMgineError)
        {
            throw LLMgineError(.connectionClosed, "requests go the other way")
        }
        func cancelRequest(_ request: UInt64) {}
        func grantReplies(_ request: UInt64, messages: UInt64) {}
        func sendReply(_ request: UInt64, _ message: Message, isLast: Bool) throws(LLMgineError) {
            guard !link.isCut.withLock({ $0 }) else { throw LLMgineError(.connectionClosed, "cut") }
            guard link.near.desk.replied(request, message, isLast: isLast, over: link.id) else {
                throw LLMgineError(.creditOverdrawn, "no room")
            }
        }
        func sendReplyEnd(_ request: UInt64) { _ = link.near.desk.replied(request, nil, isLast: true, over: link.id) }
        func sendReplyError(_ request: UInt64, _ error: LLMgineError) {
            if !link.isCut.withLock({ $0 }) {
                link.near.desk.replied(request, error: LLMgineError(error.code, error.detail), over: link.id)
            }
        }
    }

    /// Lets `near` send requests to what responds on `far`, now and later. A bus can be the far end of one link.
    init(from near: MessageBus, to far: MessageBus, id: UInt64) {
        self.near = near
        self.far = far
        self.id = LinkID(id)
        far.attach(self)
    }

    /// The peer is gone, as after a kill.
    func cut() {
        isCut.withLock { $0 = true }
        near.desk.peerLost(id)
        let requests = running.withLock { Array($0.values) }
        for request in requests { request.cancelled(LLMgineError(.connectionClosed, "cut")) }
    }

    var peer: NodeID { far.node }
    func route(flows: [UInt32]) -> any RemoteRoute { fatalError("no events go over this link") }

    func sendRequest(_ request: UInt64, flow: UInt32, deadline: Duration, replyWindow: UInt64, _ message: Message) throws(LLMgineError) {
        guard let responder = far.desk.responder(flow) else { throw LLMgineError(.connectionClosed, "no such responder") }
        let incoming = far.requestReceived(
            request, by: responder, from: near.node, deadline: deadline, replyWindow: replyWindow, message, over: Back(self)
        ) { [self] in
            running.withLock { $0[request] = nil }
            let granted = grants.withLock { grants in
                grants[flow, default: 0] += 1
                return grants[flow, default: 0]
            }
            near.desk.creditChanged(flow, link: id, granted: granted)
        }
        running.withLock { $0[request] = incoming }
        // A cut in between has not seen it.
        if isCut.withLock({ $0 }) { incoming.cancelled(LLMgineError(.connectionClosed, "cut")) }
    }

    func cancelRequest(_ request: UInt64) {
        running.withLock { $0[request] }?.cancelled(LLMgineError(.cancelled, "the requester gave up"))
    }

    func grantReplies(_ request: UInt64, messages: UInt64) { running.withLock { $0[request] }?.granted(messages) }

    func sendReply(_ request: UInt64, _ message: Message, isLast: Bool) throws(LLMgineError) {
        throw LLMgineError(.connectionClosed, "answers go the other way")
    }
    func sendReplyEnd(_ request: UInt64) {}
    func sendReplyError(_ request: UInt64, _ error: LLMgineError) {}
}

extension MemoryLink: ClusterAttachment {
    func responding(_ responder: Responder) {
        grants.withLock { $0[responder.id] = responder.entry.windowMessages }
        near.desk.responderAdded(responder.entry, node: far.node, link: id, over: self)
    }

    func stoppedResponding(_ responder: Responder) { near.desk.responderRemoved(responder.id, link: id) }
    func subscribed(_ subscriber: AnySubscriber) {}
    func unsubscribed(_ subscriber: AnySubscriber) {}
    func established(deadline: Duration) async throws(LLMgineError) {}
}
