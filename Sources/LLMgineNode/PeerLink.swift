import LLMgineBroker
import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineRouting
import LLMgineTransport
import LLMgineWire
import Logging
import NIOCore
import Synchronization

/// A link that takes part: what the bus sends through it, and the credit that this node has granted the peer.
final class PeerLink: RemoteLink {
    let connection: LinkConnection
    let id: LinkID
    let hello: HelloFrame
    let isLeaf: Bool
    /// What the peer is allowed; nil if no rule is about it.
    let grant: TopicGrant?
    /// Whether the peer may pass something on for a node of this name.
    let trusts: @Sendable (NodeID) -> Bool
    private let state = Mutex(State())

    private struct State {
        /// What this node's subscriptions have granted the peer.
        var inbound: [UInt32: InboundFlow] = [:]
        /// Requests of the peer that run here; nil until its handler has been started.
        var requests: [UInt64: IncomingRequest?] = [:]
        /// Those of them that come in parts and have their slot.
        var announced: Set<UInt64> = []
        var isEnded = false
        /// What this node's responders have granted the peer, and what it has used, in requests.
        var slots: [UInt32: (granted: UInt64, used: UInt64)] = [:]
        /// The peer's subscriptions, as the router knows them.
        var routes: [UInt32: RemoteFlow] = [:]
        /// Those of them that have their events at least once.
        var outlets: [UInt32: Outlet] = [:]
        /// Those that go on over the disk when they are full.
        var spills: [UInt32: SpillRoute] = [:]
        /// Whether the peer wants no new work.
        var isDraining = false
        /// The peer's subscriptions that are not served because a rule denies all they could get.
        var refused: [UInt32: [TopicFilter]] = [:]
        /// What has been said about the peer in the log.
        var denials: Set<TopicPermission.Action> = []
        /// Whether the link is about to change its connection, and when that was last begun, on the node's clock.
        var isRenewing = false
        var lastRenewal = Duration.zero
        /// The latest certificates of this node for which the peer was asked to dial again.
        var renewalAsked: UInt64 = 0
    }

    init(connection: LinkConnection, hello: HelloFrame, grant: TopicGrant?, trusts: @escaping @Sendable (NodeID) -> Bool) {
        self.trusts = trusts
        self.grant = grant
        self.connection = connection
        self.id = LinkID(connection.id)
        self.hello = hello
        self.isLeaf = hello.kind == .leaf
    }

    var peer: NodeID { hello.node }
    var executor: (any TaskExecutor)? { connection.executor }
    var leaf: LeafID { LeafID(node: hello.node, incarnation: hello.incarnation) }

    // MARK: Events, outbound

    func route(flows: [UInt32]) -> any RemoteRoute { LinkRoute(link: self, flows: flows) }

    /// The peer has subscribed: what matches may be queued for it from now on.
    /// - Parameters:
    ///   - disk: where and how much of it a subscription may have that goes on over the disk, and who hears that it fails.
    ///   - isUplink: whether this node is a leaf, and the peer its hub.
    func opened(_ entry: InterestEntry, disk: (directory: String, maximumBytes: Int, logger: Logger), isUplink: Bool) -> RemoteFlow {
        let flow: RemoteFlow
        if case .spill(let wanted) = entry.whenFull {
            let route = SpillRoute(
                link: self, flow: entry.flow, in: disk.directory, maximumBytes: min(wanted, disk.maximumBytes), logger: disk.logger)
            state.withLock { $0.spills[entry.flow] = route }
            flow = RemoteFlow(by: .own(route), flow: entry.flow, filters: entry.filters, group: entry.group)
        } else {
            flow = RemoteFlow(link: self, flow: entry.flow, filters: entry.filters, group: entry.group, isUplink: isUplink)
        }
        state.withLock { $0.routes[entry.flow] = flow }
        connection.update { outbox in
            outbox.opened(
                flow: entry.flow, whenFull: entry.whenFull, window: Credit(messages: entry.windowMessages, bytes: entry.windowBytes))
        }
        return flow
    }

    /// The peer's subscription has ended. - Returns: its route, and how many events go with it that nobody keeps.
    func closed(_ flow: UInt32) -> (route: RemoteFlow?, lost: Int) {
        var lost = 0
        connection.update { outbox in lost = outbox.closed(flow: flow) }
        return state.withLock { state in
            state.refused[flow] = nil
            return (state.routes.removeValue(forKey: flow), state.outlets[flow] == nil ? lost : 0)
        }
    }

    /// A subscription of the peer is gone that went on over the disk.
    func takeSpill(_ flow: UInt32) -> SpillRoute? { state.withLock { $0.spills.removeValue(forKey: flow) } }

    /// The link is gone, and with it all of them.
    func takeSpills() -> [SpillRoute] {
        state.withLock { state in
            defer { state.spills = [:] }
            return Array(state.spills.values)
        }
    }

    /// Events that wait on the disk for the peer.
    var spilled: Int { state.withLock { Array($0.spills.values) }.reduce(0) { $0 + $1.waiting } }

    /// Puts a message in line for some of the peer's subscriptions.
    func offer(_ message: borrowing Message, sequence: UInt64, to flows: [UInt32]) -> RemoteOffer {
        do throws(LLMgineError) {
            switch try connection.append(message, sequence: sequence, to: flows) {
            case .queued(_, let rejected) where rejected == flows.count: return .refused
            case .queued(let evicted, let rejected): return .accepted(evicted: evicted, rejected: rejected)
            case .nobody: return .closed
            case .full: return .full
            case .paced(let rest): return .paced(rest)
            case nil: return .closed
            }
        } catch {
            return .failed(error)
        }
    }

    // MARK: Certificates

    /// Whether the link can change its connection without ending.
    var canMove: Bool { hello.features.contains(.moving) }
    var lastRenewal: Duration { state.withLock { $0.lastRenewal } }

    /// Whether it is under way. After a while it may be tried again: it seems to have come to nothing.
    func isRenewing(at now: Duration) -> Bool { state.withLock { $0.isRenewing && now - $0.lastRenewal < .seconds(15) } }

    /// False if it is under way already.
    func beginRenewal(at now: Duration) -> Bool {
        state.withLock { state in
            if state.isRenewing, now - state.lastRenewal < .seconds(15) { return false }
            state.isRenewing = true
            state.lastRenewal = now
            return true
        }
    }

    func endRenewal() { state.withLock { $0.isRenewing = false } }

    /// Whether the peer has not been asked yet to dial again for these certificates.
    func isFirstRenewal(for serial: UInt64) -> Bool {
        state.withLock { state in
            defer { state.renewalAsked = max(state.renewalAsked, serial) }
            return state.renewalAsked < serial
        }
    }

    func note(_ outlet: Outlet, for flow: UInt32) { state.withLock { $0.outlets[flow] = outlet } }
    func outlet(_ flow: UInt32) -> Outlet? { state.withLock { $0.outlets[flow] } }
    var isDraining: Bool { state.withLock { $0.isDraining } }
    func drains() { state.withLock { $0.isDraining = true } }

    /// The link is over: its outlets hang on it no more.
    func takeOutlets() -> [Outlet] {
        state.withLock { state in
            defer { state.outlets = [:] }
            return Array(state.outlets.values)
        }
    }

    // MARK: Permissions

    func mayReceive(_ topic: Topic) -> Bool { grant?.subscribe.permits(topic) ?? true }
    func refused(_ entry: InterestEntry) { state.withLock { $0.refused[entry.flow] = entry.filters } }
    var refused: [[TopicFilter]] { state.withLock { $0.refused.sorted { $0.key < $1.key }.map(\.value) } }
    /// Whether to say so in the log: once a link.
    func isFirstDenial(of action: TopicPermission.Action) -> Bool { state.withLock { $0.denials.insert(action).inserted } }

    func routes() -> [RemoteFlow] { state.withLock { Array($0.routes.values) } }

    // MARK: Events, inbound

    /// The peer is about to hear of a subscription, perhaps not for the first time. - Returns: what it may send at once, in each class.
    func announce(_ flow: UInt32, target: Credit, office: CreditOffice) -> Credit {
        if let known = inbound(flow) { return known.firstWindow }
        let made = InboundFlow(flow: flow, target: target, connection: connection, office: office)
        let kept = state.withLock { state -> InboundFlow in
            if let known = state.inbound[flow] ?? (state.isEnded ? made : nil) { return known }
            state.inbound[flow] = made
            return made
        }
        if kept !== made || state.withLock({ $0.isEnded }) { made.closed() }
        return kept.firstWindow
    }

    /// What stands behind a flow here; nil if the peer was never told of it, or is hearing that it is gone.
    func inbound(_ flow: UInt32) -> InboundFlow? { state.withLock { $0.inbound[flow] } }

    func forget(flow: UInt32) {
        let forgotten = state.withLock { state in
            state.slots[flow] = nil
            return state.inbound.removeValue(forKey: flow)
        }
        forgotten?.closed()
    }

    func inboundFlows() -> [InboundFlow] { state.withLock { Array($0.inbound.values) } }

    /// A second has passed.
    /// - Parameter isScarce: whether others wait for memory.
    func ticked(isScarce: Bool) {
        for flow in inboundFlows() { flow.ticked(idleAfter: isScarce ? 1 : PeerLink.idleSeconds) }
    }

    /// After so long without a message a flow gives back all but its exclusive share, unless others need it sooner.
    private static let idleSeconds = 10

    // MARK: Requests

    func sendRequest(_ request: UInt64, flow: UInt32, deadline: Duration, replyWindow: UInt64, _ message: Message) throws(LLMgineError) {
        try connection.send(encoding: message) { run in
            .request(
                RequestFrame(request: request, flow: flow, deadline: deadline, replyMessages: replyWindow, replyBytes: .max, message: run))
        }
    }

    func cancelRequest(_ request: UInt64) { connection.send(call: .cancel(CancelFrame(request: request))) }

    func grantReplies(_ request: UInt64, messages: UInt64) {
        connection.send(.replyCredit(ReplyCreditFrame(request: request, maximumMessages: messages, maximumBytes: .max)))
    }

    func sendReply(_ request: UInt64, _ message: Message, isLast: Bool) throws(LLMgineError) {
        try connection.send(encoding: message) { run in .reply(ReplyFrame(request: request, isLast: isLast, message: run)) }
    }

    func sendReplyEnd(_ request: UInt64) {
        var run = ByteBuffer()
        MessageWriter.write(MessageFields(topicRef: 0), payload: ByteBuffer(), into: &run)
        connection.send(call: .reply(ReplyFrame(request: request, isLast: true, message: run)))
    }

    func sendReplyError(_ request: UInt64, _ error: LLMgineError) {
        connection.send(call: .replyError(ReplyErrorFrame(request: request, code: error.code.rawValue, detail: error.detail)))
    }

    /// Takes one slot of a responder's grant, unless the request has one already. - Throws: `creditOverdrawn`.
    /// - Parameter isAnnounced: whether the request is to come in parts.
    func spendSlot(_ responder: Responder, for request: UInt64, isAnnounced: Bool = false) throws(LLMgineError) {
        let isWithin = state.withLock { state in
            if !state.announced.isEmpty, state.announced.remove(request) != nil { return true }
            if isAnnounced { state.announced.insert(request) }
            let slots = state.slots[responder.id] ?? (granted: UInt64(responder.options.concurrency), used: 0)
            state.slots[responder.id] = (slots.granted, slots.used + 1)
            return slots.used < slots.granted
        }
        guard isWithin else { throw LLMgineError(.creditOverdrawn, "a request came for \(responder.name) without a free slot") }
    }

    /// A request that was to come in parts comes to nothing. - Returns: whether it had a slot.
    func forgetAnnounced(_ request: UInt64) -> Bool { state.withLock { $0.announced.remove(request) != nil } }

    /// A request of the peer is about to be handled; it may be done before ``started(_:_:)`` is called.
    func arrived(_ request: UInt64) { state.withLock { $0.requests[request] = .some(nil) } }

    func started(_ request: UInt64, _ incoming: IncomingRequest) {
        let isEnded = state.withLock { state in
            if state.requests[request] != nil { state.requests[request] = incoming }
            return state.isEnded
        }
        if isEnded { cancel(incoming) }  // the link ended in between and has not seen it
    }

    /// A request of the peer is done: its slot is granted again.
    func finished(_ request: UInt64, flow: UInt32) {
        let granted: UInt64? = state.withLock { state in
            state.requests[request] = nil
            guard let slots = state.slots[flow] else { return nil }
            state.slots[flow] = (slots.granted + 1, slots.used)
            return slots.granted + 1
        }
        if let granted { connection.send(.grant(GrantFrame(flow: flow, maximumMessages: granted, maximumBytes: .max))) }
    }

    func request(_ number: UInt64) -> IncomingRequest? { state.withLock { $0.requests[number] ?? nil } }

    /// The link is over: what runs for the peer is cancelled.
    func ended() {
        let (requests, inbound) = state.withLock { state in
            let running = state.requests.values.compactMap { $0 }
            let inbound = Array(state.inbound.values)
            state.requests = [:]
            state.inbound = [:]
            state.isEnded = true
            return (running, inbound)
        }
        for request in requests { cancel(request) }
        for flow in inbound { flow.closed() }
    }

    private func cancel(_ request: IncomingRequest) {
        request.cancelled(LLMgineError(.connectionClosed, "the link to \(peer) is gone"))
    }
}

/// The way to a set of flows of one peer.
final class LinkRoute: RemoteRoute {
    private let link: PeerLink
    private let flows: [UInt32]

    init(link: PeerLink, flows: [UInt32]) {
        self.link = link
        self.flows = flows
    }

    var peer: NodeID { link.peer }

    func offer(_ message: borrowing Message, sequence: UInt64) -> RemoteOffer { link.offer(message, sequence: sequence, to: flows) }

    func waitForRoom(_ onRegistered: (UInt64) -> Void) async -> Bool { await link.connection.waitForRoom(for: flows, onRegistered) }
    func giveUp(_ waiter: UInt64) { link.connection.giveUp(waiter) }

    var holders: [PublisherHold.Holder] { link.connection.read { [flows] outbox in outbox.holders(flows: flows) } }

    func demote(_ flows: [UInt32]) -> [String] {
        link.connection.update { outbox in outbox.demoted(flows: flows) }.map { "\(link.peer)/\($0)" }
    }

    func credit(for priority: Priority) -> Int {
        link.connection.read { [flows] outbox in flows.map { outbox.room(flow: $0, priority) }.min() ?? 0 }
    }
}

extension AnySubscriber {
    /// What each peer may have under way at most, in each class: as many messages as the queue takes.
    func window(bytes: UInt64) -> Credit { Credit(messages: UInt64(options.capacity), bytes: bytes) }

    private var reliableFlow: ReliableFlow? {
        guard options.relaysFor == nil else { return nil }
        return options.delivery.atLeastOnceOptions.map { ReliableFlow(name: options.name ?? "", retention: $0.retention) }
    }

    /// What peers are told of it. The window is the widest there may be; each of them is told instead what it may send at once.
    func entry(windowBytes: UInt64) -> InterestEntry {
        InterestEntry(
            flow: id, kind: .events, filters: filters, group: options.group, whenFull: options.whenFull,
            windowMessages: UInt64(options.capacity),
            windowBytes: windowBytes, reliable: reliableFlow)
    }
}
