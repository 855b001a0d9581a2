package import LLMgineBroker
package import LLMgineCore
import LLMgineObservability
package import LLMgineRouting
import Synchronization

import struct NIOCore.ByteBuffer

/// Where the requests of this node meet the responders of the cluster.
///
/// The table decides who gets a request and how it ends; the desk runs what it decides. Requests to responders of this process and to
/// those behind a link take the same way, up to the last step.
package final class RequestDesk: Sendable {
    private struct State {
        var table: RequestTable
        /// Weakly: a call that nobody reads any more is abandoned.
        var calls: [UInt64: WeakCall] = [:]
        var responders: [UInt32: Responder] = [:]
        var links: [LinkID: any RemoteLink] = [:]
        /// Requests that run in this process for this process, for cancelling.
        var local: [UInt64: LocalCall] = [:]
        var granted: [UInt32: UInt64] = [:]
        var nextRequest: UInt64 = 0
        /// Links whose nodes want no new work: what they offer from now on is not for us either.
        var draining: Set<LinkID> = []
        var isStopped = false
        var timer: (due: ContinuousClock.Instant, id: UInt64)?
    }

    private struct WeakCall {
        weak var call: OutgoingCall?
    }

    private let state: Mutex<State>
    private let node: NodeID
    private let timers: TimerQueue
    let tracer: NodeTracer
    private let epoch = ContinuousClock.now

    init(node: NodeID, timers: TimerQueue, tracer: NodeTracer) {
        self.node = node
        self.tracer = tracer
        self.timers = timers
        state = Mutex(State(table: RequestTable(own: node)))
    }

    private func elapsed(_ instant: ContinuousClock.Instant = .now) -> Duration { instant - epoch }

    // MARK: Responders

    func add(_ responder: Responder) {
        change { state, actions in
            state.responders[responder.id] = responder
            state.granted[responder.id] = UInt64(responder.options.concurrency)
            state.table.responderAdded(ResponderID(link: .local, flow: responder.id), node: node, entry: responder.entry)
            state.table.creditChanged(
                ResponderID(link: .local, flow: responder.id), granted: UInt64(responder.options.concurrency), into: &actions)
        }
    }

    func remove(_ responder: Responder) {
        change { state, actions in
            state.responders[responder.id] = nil
            state.granted[responder.id] = nil
            state.table.responderRemoved(ResponderID(link: .local, flow: responder.id), into: &actions)
        }
    }

    /// All responders of this node, for stopping.
    var responders: [Responder] { state.withLock { Array($0.responders.values) } }

    /// The responder of a flow that a peer names.
    package func responder(_ flow: UInt32) -> Responder? { state.withLock { $0.responders[flow] } }

    /// A peer has a responder.
    package func responderAdded(_ entry: InterestEntry, node: NodeID, link: LinkID, over remote: any RemoteLink) {
        change { state, actions in
            state.links[link] = remote
            let id = ResponderID(link: link, flow: entry.flow)
            state.table.responderAdded(id, node: node, entry: entry)
            if state.draining.contains(link) { state.table.peerDraining(link, into: &actions) }
            state.table.creditChanged(id, granted: entry.windowMessages, into: &actions)
        }
    }

    package func responderRemoved(_ flow: UInt32, link: LinkID) {
        change { state, actions in state.table.responderRemoved(ResponderID(link: link, flow: flow), into: &actions) }
    }

    /// The peers with responders whose links are as asked for.
    func peers(where isMeant: (any RemoteLink) -> Bool) -> Set<NodeID> {
        Set(state.withLock { Array($0.links.values) }.filter(isMeant).map(\.peer))
    }

    /// A peer's responder has free slots again.
    package func creditChanged(_ flow: UInt32, link: LinkID, granted: UInt64) {
        change { state, actions in state.table.creditChanged(ResponderID(link: link, flow: flow), granted: granted, into: &actions) }
    }

    package func peerDraining(_ link: LinkID) {
        change { state, actions in
            state.draining.insert(link)
            state.table.peerDraining(link, into: &actions)
        }
    }

    package func peerLost(_ link: LinkID) {
        change { state, actions in
            state.links[link] = nil
            state.draining.remove(link)
            state.table.peerLost(link, into: &actions)
        }
    }

    // MARK: Requests of this node

    func start(_ message: Message, options: RequestOptions) -> OutgoingCall {
        var message = message
        var span: OpenSpan?
        if tracer.isEnabled { (message.trace, span) = tracer.begin(.request, message.topic, below: message.trace) }
        let id = state.withLock { state in
            state.nextRequest += 1
            return state.nextRequest
        }
        let call = OutgoingCall(id: id, message: message, options: options, span: span, desk: self)
        let random = (UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max))
        change { state, actions in
            guard !state.isStopped else {
                actions.append(.fail(id, LLMgineError(.stopped, "the bus of node \(node) has stopped")))
                state.calls[id] = WeakCall(call: call)
                return
            }
            state.calls[id] = WeakCall(call: call)
            state.table.requestStarted(
                id, topic: message.topic, priority: message.priority, deadline: elapsed(call.deadline), excluding: options.excluding,
                random: random,
                at: elapsed(), into: &actions)
        }
        return call
    }

    /// Asks one of the responders of this desk, for another node.
    package func passOn(_ message: Message, options: RequestOptions) -> ReplyStream { ReplyStream(call: start(message, options: options)) }

    /// Ends every request of this node.
    func stop() {
        change { state, actions in
            state.isStopped = true
            for id in state.calls.keys {
                _ = state.table.finished(id)
                actions.append(.fail(id, LLMgineError(.stopped, "the bus of node \(node) has stopped")))
            }
        }
    }

    func cancel(_ call: OutgoingCall) { change { state, actions in state.table.cancelled(call.id, into: &actions) } }

    /// The last reader let go of a call.
    func abandoned(_ id: UInt64) {
        change { state, actions in
            state.calls[id] = nil
            state.table.cancelled(id, into: &actions)
        }
    }

    /// A reply came, from a link or from this process.
    /// - Parameter link: where from. Only who got the request can answer it; the answer of anyone else goes nowhere.
    /// - Returns: false if it came without room.
    package func replied(_ request: UInt64, _ reply: Message?, isLast: Bool, over link: LinkID = .local) -> Bool {
        guard let call = openCall(request, at: link) else { return true }  // too late: nobody waits any more
        let withinRoom = call.received(reply, isLast: isLast)
        if isLast { finished(request) }
        return withinRoom
    }

    /// The responder could not answer.
    package func replied(_ request: UInt64, error: LLMgineError, over link: LinkID = .local) {
        guard let call = openCall(request, at: link) else { return }
        call.failed(error)
        finished(request)
    }

    /// Whether a reply to a request would find somebody who waits for it.
    package func isOpen(_ request: UInt64, over link: LinkID) -> Bool { openCall(request, at: link) != nil }

    private func openCall(_ request: UInt64, at link: LinkID) -> OutgoingCall? {
        state.withLock { state in state.table.responder(of: request)?.link == link ? state.calls[request]?.call : nil }
    }

    private func finished(_ request: UInt64) {
        state.withLock { state in
            _ = state.table.finished(request)
            state.calls[request] = nil
            state.local[request] = nil
        }
    }

    /// A slot of a responder in this process is free again.
    func slotFreed(_ flow: UInt32) {
        change { state, actions in
            guard let granted = state.granted[flow] else { return }
            state.granted[flow] = granted + 1
            state.table.creditChanged(ResponderID(link: .local, flow: flow), granted: granted + 1, into: &actions)
        }
    }

    // MARK: Doing what the table decides

    private func change(_ body: (inout State, inout [RequestAction]) -> Void) {
        var actions = decide(body)
        var done = 0
        while done < actions.count {
            // The next in line may not be sent either: one after the other, and not one inside the other.
            if let unused = perform(actions[done]) { actions += decide { $0.table.notSent(to: unused, into: &$1) } }
            done += 1
        }
    }

    private func decide(_ body: (inout State, inout [RequestAction]) -> Void) -> [RequestAction] {
        var actions: [RequestAction] = []
        state.withLock { state in
            body(&state, &actions)
            rearm(&state)
        }
        return actions
    }

    /// Keeps one timer at the table's next deadline.
    private func rearm(_ state: inout State) {
        guard let next = state.table.nextDeadline else { return }
        let due = epoch + next
        if let timer = state.timer, timer.due <= due, timer.due > .now { return }
        if let timer = state.timer { timers.cancel(timer.id) }
        let id = timers.schedule(at: due) { [weak self] in
            guard let self else { return }
            change { state, actions in
                state.timer = nil
                state.table.ticked(at: elapsed(), into: &actions)
            }
        }
        state.timer = (due, id)
    }

    /// - Returns: the responder that was to get a request and did not.
    private func perform(_ action: RequestAction) -> ResponderID? {
        switch action {
        case .queued: break
        case .fail(let id, let error):
            let call = state.withLock { $0.calls.removeValue(forKey: id)?.call }
            call?.failed(error)
        case .cancel(let id, let responder):
            let (local, link) = state.withLock { ($0.local.removeValue(forKey: id), $0.links[responder.link]) }
            local?.gate.failed(LLMgineError(.cancelled, "the requester gave up"))
            link?.cancelRequest(id)
        case .dispatch(let id, let responder, let node): return dispatch(id, to: responder, node: node) ? nil : responder
        }
        return nil
    }

    /// - Returns: false if the responder will not hear of the request, and can take another one.
    private func dispatch(_ id: UInt64, to responder: ResponderID, node: NodeID) -> Bool {
        let (call, link, local) = state.withLock { ($0.calls[id]?.call, $0.links[responder.link], $0.responders[responder.flow]) }
        guard let call else { return false }  // its caller gave up meanwhile
        if responder.link == .local {
            guard let local else {
                replied(id, error: LLMgineError(.peerLost, "the responder has stopped"))
                return true
            }
            var message = call.message
            let origin = message.takeOrigin(keeping: CommandHeaders.all)
            let incoming = LocalCall(request: id, topic: call.message.topic, flow: responder.flow, window: call.window, desk: self)
            state.withLock { $0.local[id] = incoming }
            call.dispatched(to: node) { incoming.gate.granted($0) }
            let context = RequestContext(
                requester: origin?.node ?? self.node, deadline: call.deadline, session: message.session, trace: message.trace)
            local.serve(message, context, incoming)
            return true
        }
        guard let link else {
            replied(id, error: LLMgineError(.peerLost, "the link to \(node) is gone"), over: responder.link)
            return true
        }
        call.dispatched(to: node) { link.grantReplies(id, messages: $0) }
        do throws(LLMgineError) {
            try link.sendRequest(id, flow: responder.flow, deadline: call.deadline - .now, replyWindow: call.window, call.message)
            return true
        } catch {
            // The link has ended, and the table has not heard of it yet: the request ends as all others that the link had.
            let isLost = error.code == .connectionClosed
            replied(id, error: isLost ? LLMgineError(.peerLost, "the link to \(node) is gone") : error, over: responder.link)
            return isLost  // then nobody else is to be sent there
        }
    }
}

extension Responder {
    /// What peers and the table are told of it.
    package var entry: InterestEntry {
        InterestEntry(
            flow: id, kind: .responder, filters: filters, group: options.group, whenFull: .block,
            windowMessages: UInt64(options.concurrency),
            windowBytes: .max)
    }
}

/// A request from this process to a responder in this process.
final class LocalCall: IncomingCall {
    let gate: ReplyGate
    private let request: UInt64
    private let topic: Topic
    private let flow: UInt32
    private let desk: RequestDesk

    init(request: UInt64, topic: Topic, flow: UInt32, window: UInt64, desk: RequestDesk) {
        self.request = request
        self.topic = topic
        self.flow = flow
        self.desk = desk
        self.gate = ReplyGate(granted: window)
    }

    func send(_ payload: ByteBuffer, eventType: String?, isLast: Bool) async throws(LLMgineError) {
        try await gate.pass()
        if isLast, !gate.finish() { return }
        _ = desk.replied(request, Message(topic: topic, payload: payload, eventType: eventType), isLast: isLast)
    }

    func finish(_ error: LLMgineError?) {
        if let error {
            if gate.isOpen { desk.replied(request, error: error) }
        } else if gate.finish() {
            _ = desk.replied(request, nil, isLast: true)
        }
        desk.slotFreed(flow)
    }

    func onCancel(_ action: @escaping @Sendable () -> Void) { gate.onFailure(action) }
    var executor: (any TaskExecutor)? { nil }
}

/// A request that came over a link.
final class RemoteCall: IncomingCall {
    let gate: ReplyGate
    private let request: UInt64
    private let topic: Topic
    private let link: any RemoteLink
    private let onFinish: @Sendable () -> Void

    init(request: UInt64, topic: Topic, window: UInt64, link: any RemoteLink, onFinish: @escaping @Sendable () -> Void) {
        self.request = request
        self.topic = topic
        self.link = link
        self.onFinish = onFinish
        self.gate = ReplyGate(granted: window)
    }

    func send(_ payload: ByteBuffer, eventType: String?, isLast: Bool) async throws(LLMgineError) {
        try await gate.pass()
        if isLast, !gate.finish() { return }
        try link.sendReply(request, Message(topic: topic, payload: payload, eventType: eventType), isLast: isLast)
    }

    func finish(_ error: LLMgineError?) {
        if let error {
            if gate.isOpen { link.sendReplyError(request, error) }
        } else if gate.finish(), gate.isOpen {
            link.sendReplyEnd(request)
        }
        onFinish()
    }

    func onCancel(_ action: @escaping @Sendable () -> Void) { gate.onFailure(action) }
    var executor: (any TaskExecutor)? { link.executor }
}

extension MessageBus {
    /// A peer sends a request to one of this node's responders.
    /// - Parameter onFinish: called once, when its slot is free again.
    /// - Returns: what the link needs to pass on cancels and reply credit.
    package func requestReceived(
        _ request: UInt64, by responder: Responder, from peer: NodeID, deadline: Duration, replyWindow: UInt64, _ message: Message,
        over link: any RemoteLink,
        onFinish: @escaping @Sendable () -> Void
    ) -> IncomingRequest {
        let call = RemoteCall(request: request, topic: message.topic, window: replyWindow, link: link, onFinish: onFinish)
        let end = ContinuousClock.now.advanced(bySaturating: deadline)
        responder.serve(message, RequestContext(requester: peer, deadline: end, session: message.session, trace: message.trace), call)
        return IncomingRequest(call: call)
    }
}

/// A peer's request while it runs here.
package struct IncomingRequest: Sendable {
    let call: RemoteCall

    /// The requester has room for more replies.
    package func granted(_ messages: UInt64) { call.gate.granted(messages) }
    /// The requester gave up, or is gone.
    package func cancelled(_ error: LLMgineError) { call.gate.failed(error) }
}
