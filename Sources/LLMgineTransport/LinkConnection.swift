package import LLMgineCore
import LLMgineFlow
package import LLMgineLink
package import LLMgineWire
package import NIOCore
import Synchronization

/// What a link tells its node. All calls come on the link's event loop, in the order of what happened.
package protocol LinkDelegate: AnyObject, Sendable {
    /// The peer is who it says it is, and speaks our protocol.
    func linkEstablished(_ link: LinkConnection, session: LinkSession)
    /// Messages came for some flows. - Throws: what the peer did wrong; the link closes with it.
    func linkReceived(_ link: LinkConnection, _ data: ReceivedData) throws(LLMgineError)
    /// A long message is coming for some flows, in parts: its credit is to be counted now. - Returns: those of its flows that take it; once all of it
    /// is there, it comes for them as any other, marked as counted. - Throws: what the peer did wrong.
    func linkAnnounced(_ link: LinkConnection, _ head: FragmentFrame.Head) throws(LLMgineError) -> [UInt32]
    /// A long request or reply is coming in parts; its frame has no message yet. A request takes its slot now. - Returns: whether somebody waits
    /// for it: then it comes as any other once all of it is there. - Throws: what the peer did wrong.
    func linkAnnounced(_ link: LinkConnection, _ call: CallPartFrame.Whole) throws(LLMgineError) -> Bool
    /// One that was announced comes to nothing: the peer gave it up, or a request was complete too late.
    func linkGaveUp(_ link: LinkConnection, _ call: CallPartFrame.Whole, isExpired: Bool)
    /// One message of a request or reply came. - Throws: what the peer did wrong.
    func linkReceived(_ link: LinkConnection, _ frame: Frame, message: Message) throws(LLMgineError)
    /// Any other frame came. - Throws: what the peer did wrong.
    func linkReceived(_ link: LinkConnection, _ frame: Frame) throws(LLMgineError)
    /// The peer told the version and hash of its interest.
    func linkPeerInterest(_ link: LinkConnection, version: UInt64, hash: UInt64)
    /// The peer wants no new work.
    func linkPeerLeaving(_ link: LinkConnection, deadline: Duration)
    /// A connection was closed before a byte of it was read.
    func connectionRefused(from address: String, _ refusal: AcceptGate.Refusal)
    /// The link that a peer wants to continue on a new connection; nil if there is none.
    func link(continuedBy session: LinkSession) -> LinkConnection?
    /// The link is on a new connection now.
    func linkMoved(_ link: LinkConnection)
    /// Whether the peer may say something on a topic here; nil where no rule is about it. Asked once, when the link is established.
    func linkRules(_ link: LinkConnection) -> (@Sendable (Topic) -> Bool)?
    /// What our own PINGs say.
    func linkInterest(_ link: LinkConnection) -> (version: UInt64, hash: UInt64)
    /// The link is over, or never came up. Comes exactly once, last.
    func linkClosed(_ link: LinkConnection, _ closure: LinkClosure, wasEstablished: Bool)
}

extension LinkDelegate {
    package func linkRules(_ link: LinkConnection) -> (@Sendable (Topic) -> Bool)? { nil }
    package func link(continuedBy session: LinkSession) -> LinkConnection? { nil }
    package func linkAnnounced(_ link: LinkConnection, _ call: CallPartFrame.Whole) throws(LLMgineError) -> Bool { true }
    package func linkGaveUp(_ link: LinkConnection, _ call: CallPartFrame.Whole, isExpired: Bool) {}
    package func linkMoved(_ link: LinkConnection) {}
    package func connectionRefused(from address: String, _ refusal: AcceptGate.Refusal) {}
}

/// Messages as they came, verified, with their topics looked up.
package struct ReceivedData: Sendable {
    package let priority: Priority
    package let flows: [UInt32]
    package let index: MessageIndex
    package let names: Names
    /// Whether its credit was counted before, when it was announced.
    package var isCounted = false
    /// What came besides and was refused, and where among all that came: it took credit all the same.
    package var refused: (messages: Int, bytes: Int, positions: Set<Int>) = (0, 0, [])

    /// The topic of what was refused, where all of it had the same and nothing was left.
    package var topicIfRefused: Topic? {
        if case .same(let topic, _) = names, index.count == 0 { topic } else { nil }
    }

    /// The same without what else was read with it; nil if it takes little more memory as it is.
    package var compacted: ReceivedData? {
        index.compacted.map { index in
            ReceivedData(priority: priority, flows: flows, index: index, names: names, isCounted: isCounted, refused: refused)
        }
    }

    /// What the interned numbers of the messages stand for.
    package enum Names: Sendable {
        /// All messages have the same, the usual case.
        case same(Topic, eventType: String?)
        /// One pair for each message.
        case each([(topic: Topic, eventType: String?)])
    }
}

/// One connection to a peer: what other threads may do with it.
///
/// Publishers append to the outbox under its lock and ask for a flush; the event loop takes out what the credit allows. One flush a turn of
/// the loop, however many messages came in between.
package final class LinkConnection: Sendable {
    /// Unique in this process.
    package let id: UInt64
    package let role: LinkRole
    /// The address that was dialled, or where the peer connects from.
    package let address: String
    private let home: Mutex<Home>
    private let state: Mutex<State>
    private let flushing = Atomic<Flushing>(.idle)

    /// Where the connection of the link is served. It changes with the connection.
    private struct Home {
        let eventLoop: any EventLoop
        let executor: any TaskExecutor
        let handler: NIOLoopBoundBox<LinkHandler?>

        init(_ eventLoop: any EventLoop) {
            self.eventLoop = eventLoop
            executor = LinkTaskExecutor(eventLoop)
            handler = .makeBoxSendingValue(nil, eventLoop: eventLoop)
        }
    }

    private struct State: ~Copyable {
        var outbox: Outbox
        var isClosed = false
        /// What waited when the link ended, by flow; nil while it stands.
        var lost: [(flow: UInt32, messages: Int)]?
        var waiters: [Waiter] = []
        var nextWaiter: UInt64 = 0
        var roundTrip: Duration?
        var isSuspect = false
        var credentials = LinkCredentials()
        var compression: CompressionTally?

        /// Those who may try again.
        mutating func takeRoomyWaiters() -> [Waiter] {
            var roomy: [Waiter] = []
            var others: [Waiter] = []
            for waiter in waiters {
                if outbox.isTurningAway(flows: waiter.flows) { others.append(waiter) } else { roomy.append(waiter) }
            }
            waiters = others
            return roomy
        }
    }

    private struct Waiter {
        let id: UInt64
        let flows: [UInt32]
        let continuation: CheckedContinuation<Bool, Never>
    }

    /// Stands for the topic of a reply that came without one.
    package static let replyTopic: Topic = "llmgine.reply"
    private static let numbers = Atomic<UInt64>(0)

    init(role: LinkRole, address: String, eventLoop: any EventLoop, limits: WireLimits) {
        self.id = LinkConnection.numbers.add(1, ordering: .relaxed).newValue
        self.role = role
        self.address = address
        self.home = Mutex(Home(eventLoop))
        self.state = Mutex(State(outbox: Outbox(wire: limits)))
    }

    /// The event loop that moves the bytes of the link, for as long as it has its connection.
    package var eventLoop: any EventLoop { home.withLock { $0.eventLoop } }
    /// Runs tasks on the event loop.
    package var executor: any TaskExecutor { home.withLock { $0.executor } }

    /// Calls what serves the link on its event loop, if it is there.
    private func onLoop(_ body: @escaping @Sendable (LinkHandler) -> Void) {
        let home = home.withLock { $0 }
        home.eventLoop.execute {
            if let handler = home.handler.value { body(handler) }
        }
    }

    /// The time that everything on links goes by.
    package static var now: Duration { LinkHandler.now }

    // MARK: Sending

    /// Puts a control frame ahead of all data.
    package func send(_ frame: Frame) {
        state.withLock { state in
            if !state.isClosed { state.outbox.send(frame) }
        }
        flushNow()
    }

    /// Puts one message in line for the flows. Nil when the link is closed.
    /// - Parameter expires: whether it is let go when its time to live is over before it went out.
    package func append(
        _ message: borrowing Message, sequence: UInt64, to flows: [UInt32], expires: Bool = true
    ) throws(LLMgineError) -> Outbox.Appended? {
        let now = message.timeToLive == nil ? .zero : LinkHandler.now
        let result = state.withLock { state -> Result<Outbox.Appended?, LLMgineError> in
            guard !state.isClosed else { return .success(nil) }
            do throws(LLMgineError) {
                let now = state.outbox.isPaced && now == .zero ? LinkHandler.now : now
                return .success(try state.outbox.append(message, sequence: sequence, to: flows, at: now, expires: expires))
            } catch {
                return .failure(error)
            }
        }
        flush()
        return try result.get()
    }

    /// Puts what belongs to a request in line: ahead of all data, but not of what it belongs behind.
    package func send(call frame: Frame) {
        state.withLock { state in
            if !state.isClosed { state.outbox.send(call: frame) }
        }
        flushNow()
    }

    /// Encodes a message for a request or reply, whose numbers are announced before anything sent from now on.
    package func send(encoding message: borrowing Message, _ frame: (ByteBuffer) -> Frame) throws(LLMgineError) {
        let result = state.withLock { state -> Result<Void, LLMgineError> in
            guard !state.isClosed else { return .failure(LLMgineError(.connectionClosed, "the link to the peer is closed")) }
            do throws(LLMgineError) {
                let frame = frame(try state.outbox.encode(message))
                state.outbox.send(call: frame, message.priority, at: frame.isLongCall ? LinkHandler.now : .zero)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        flushNow()
    }

    /// Changes the outbox under its lock, then flushes. Publishers that need wait no longer are woken, also while the socket is full.
    package func update<Result: Sendable>(_ change: (inout Outbox) -> Result) -> Result {
        let (result, roomy) = state.withLock { state -> (Result, [Waiter]) in
            let result = change(&state.outbox)
            return (result, state.outbox.noteRoom() ? state.takeRoomyWaiters() : [])
        }
        for waiter in roomy { waiter.continuation.resume(returning: true) }
        flushNow()
        return result
    }

    /// Looks at the outbox under its lock.
    package func read<Result: Sendable>(_ look: (borrowing Outbox) -> Result) -> Result {
        state.withLock { look($0.outbox) }
    }

    /// The time of the last ping, if one has come back.
    package var roundTrip: Duration? { state.withLock { $0.roundTrip } }
    /// Whether the peer has been silent for so long that it may be gone.
    package var isSuspect: Bool { state.withLock { $0.isSuspect } }
    func measured(_ roundTrip: Duration?, isSuspect: Bool) {
        state.withLock { state in
            state.roundTrip = roundTrip
            state.isSuspect = isSuspect
        }
    }

    /// What compression has saved; nil where it is not in use.
    package var compression: CompressionTally? { state.withLock { $0.compression } }
    func measured(_ compression: CompressionTally) { state.withLock { $0.compression = compression } }

    // MARK: Waiting for room

    /// Waits until the flows that turned the caller away are down to half of their room, or no longer hold publishers. It may then be
    /// turned away again, by others that came first. False when woken by ``giveUp(_:)``, or when the link is closed.
    /// - Parameter flows: to whom it wants to send; all flows of the link if empty.
    package func waitForRoom(for flows: [UInt32] = [], _ onRegistered: (UInt64) -> Void) async -> Bool {
        await withCheckedContinuation { continuation in
            let registered = state.withLock { state -> Result<UInt64, Woken> in
                guard !state.isClosed else { return .failure(Woken(hasRoom: false)) }
                // Between the refusal and now, room may have been made: nobody would wake us for it again.
                guard state.outbox.isTurningAway(flows: flows) else { return .failure(Woken(hasRoom: true)) }
                state.nextWaiter += 1
                state.waiters.append(Waiter(id: state.nextWaiter, flows: flows, continuation: continuation))
                return .success(state.nextWaiter)
            }
            switch registered {
            case .success(let id): onRegistered(id)
            case .failure(let woken): continuation.resume(returning: woken.hasRoom)
            }
        }
    }

    private struct Woken: Error {
        let hasRoom: Bool
    }

    /// Ends one wait early.
    package func giveUp(_ id: UInt64) {
        let waiter: Waiter? = state.withLock { state in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiters.remove(at: index)
        }
        waiter?.continuation.resume(returning: false)
    }

    // MARK: Flushing and closing

    /// What the event loop is about to do with the outbox.
    private enum Flushing: UInt8, AtomicRepresentable {
        /// Nothing: whoever puts something in wakes it.
        case idle
        /// It was woken and will look.
        case woken
        /// It will look by itself: it is at it, or rests after a busy flush, or the socket is full. Only control wakes it.
        case attentive
    }

    /// Has the event loop write what can be written, as soon as its load allows, once, however often it is asked before it does.
    private func flush() {
        guard flushing.compareExchange(expected: .idle, desired: .woken, ordering: .acquiringAndReleasing).exchanged else { return }
        wake()
    }

    /// The same without regard to the load.
    private func flushNow() {
        guard flushing.exchange(.woken, ordering: .acquiringAndReleasing) != .woken else { return }
        wake()
    }

    private func wake() { onLoop { $0.flush() } }

    /// The event loop turns to the outbox.
    func beginFlush() { flushing.store(.attentive, ordering: .sequentiallyConsistent) }

    /// The event loop has written what it could and will not look by itself. False if there is something again that nobody will wake it for.
    func endFlush() -> Bool {
        guard flushing.compareExchange(expected: .attentive, desired: .idle, ordering: .sequentiallyConsistent).exchanged else {
            return true
        }
        // What was put in before the line above woke nobody.
        return !read { $0.hasWork }
    }

    /// Whether it will look by itself and was not woken since.
    var isAttentive: Bool { flushing.load(ordering: .sequentiallyConsistent) == .attentive }

    /// Takes out what may be written now; wakes publishers that wait if there is room again.
    func drain(maximum: Int) -> Outbox.Drained {
        let (drained, roomy) = state.withLock { state -> (Outbox.Drained, [Waiter]) in
            let drained = state.outbox.drain(maximum: maximum, at: state.outbox.hasDeadlines ? LinkHandler.now : .zero)
            return (drained, drained.madeRoom ? state.takeRoomyWaiters() : [])
        }
        for waiter in roomy { waiter.continuation.resume(returning: true) }
        return drained
    }

    /// Lets messages go whose time is over.
    func expire() {
        guard read({ $0.hasDeadlines }) else { return }
        update { $0.expire(at: LinkHandler.now) }
    }

    /// Says goodbye with the reason and closes, from any thread.
    package func close(_ reason: CloseReason, detail: String = "") {
        onLoop { $0.requestClose(reason, detail: detail) }
    }

    /// Tells the peer that this node leaves, and closes after the deadline at the latest.
    package func leave(deadline: Duration) {
        onLoop { $0.requestLeave(deadline: deadline) }
    }

    /// On the event loop.
    func attach(_ handler: LinkHandler?) { home.withLock { $0.handler }.value = handler }

    // MARK: Moving to another connection

    /// Which of this node's certificates the connection was made with.
    package var material: UInt64 { state.withLock { $0.credentials.material } }
    func moved(to credentials: LinkCredentials) { state.withLock { $0.credentials = credentials } }

    /// The link is served by another event loop from now on. Whoever wakes it meanwhile finds nobody, so its handler looks by itself when it
    /// has come.
    func settle(on eventLoop: any EventLoop) { home.withLock { $0 = Home(eventLoop) } }

    func carry(on successor: LinkSuccessor) {
        let home = home.withLock { $0 }
        home.eventLoop.execute {
            guard let handler = home.handler.value else { return successor.channel.close(promise: nil) }
            handler.carried(on: successor)
        }
    }

    func successorLost(_ channel: ObjectIdentifier) { onLoop { $0.successorLost(channel) } }

    /// No more is taken in; who waits is woken. - Returns: what was lost with the link, by flow.
    @discardableResult
    package func ended() -> [(flow: UInt32, messages: Int)] {
        let (lost, waiters) = state.withLock { state in
            state.isClosed = true
            let waiters = state.waiters
            state.waiters = []
            if state.lost == nil {
                let lost = state.outbox.queued
                for (flow, _) in lost { state.outbox.closed(flow: flow) }  // so that nobody counts them once more
                state.lost = lost
            }
            return (state.lost ?? [], waiters)
        }
        for waiter in waiters { waiter.continuation.resume(returning: false) }
        return lost
    }
}
