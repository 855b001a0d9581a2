import LLMgineBroker
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineRouting
import LLMgineWire
import NIOCore

/// One end of a connection: what `LinkHandler`, `LinkConnection` and `PeerLink` do around the machines, without their threads.
final class SimulatedLink {
    let id: LinkID
    let side: Int
    unowned let wire: SimulatedWire
    unowned let node: SimulatedNode
    /// The process at the other end, which only the test may know.
    unowned let peer: SimulatedNode
    /// The address that was dialled to get it; nil at the acceptor.
    let dialed: String?

    private var machine: LinkMachine?
    private var decoder = FrameDecoder()
    var texts = InternedTexts()
    var fragments = FragmentAssembly()
    private(set) var limits = WireLimits()
    /// Compresses what is sent; nil where that was not agreed on.
    private var packer: FramePacker?
    private(set) var outbox: Outbox
    private var actions: [LinkAction] = []
    var maximumPayload: Int { limits.maximumPayload }
    private var isPerforming = false
    private var isFlushPlanned = false
    private(set) var isEstablished = false
    private(set) var isOver = false
    private(set) var hello: HelloFrame?

    /// The peer's subscriptions to events, as this node routes to them.
    var routes: [UInt32: InterestEntry] = [:]
    /// What this node's subscriptions have granted the peer.
    var inbound: [UInt32: InboundFlowCredit] = [:]
    /// What this node's responders have granted the peer, and what it has used.
    var slots: [UInt32: (granted: UInt64, used: UInt64)] = [:]
    /// Requests of the peer that run here.
    var requests: [UInt64: SimulatedAnswer] = [:]
    /// Those of the peer's subscriptions that have their events at least once, and those that go on over the disk.
    var outlets: [UInt32: SimulatedOutlet] = [:]
    var spills: [UInt32: SimulatedSpillRoute] = [:]
    /// What was taken in for the former.
    var accounts: [UInt32: ReliableAccount] = [:]
    /// Who waits for room.
    private var waiters: [(owner: AnyObject, flows: [UInt32], wake: () -> Void)] = []
    /// What was taken in for each flow of the peer, message by message.
    var passages: [UInt32: Passage] = [:]
    /// Over all flows, since the start of the link.
    var evicted = 0
    var rejected = 0
    /// Flows of the peer that have ended while the link was there.
    var closedFlows = 0
    /// Whether the peer wants no new work.
    var isDraining = false

    var simulation: Simulation { wire.simulation }
    var isBroken: BrokenRule? { simulation.broken }

    init(_ wire: SimulatedWire, side: Int, node: SimulatedNode, peer: SimulatedNode, id: UInt64, dialed: String?) {
        self.id = LinkID(id)
        self.side = side
        self.wire = wire
        self.node = node
        self.peer = peer
        self.dialed = dialed
        var limits = Outbox.Limits()
        limits.messages = node.settings.queueMessages
        limits.bytes = node.settings.queueBytes
        limits.texts = node.settings.texts
        limits.lanes = 8
        outbox = Outbox(limits: limits)
    }

    // MARK: The connection

    /// TLS has verified the peer.
    func opened() {
        guard !isOver else { return }
        machine = LinkMachine(
            role: dialed == nil ? .acceptor : .dialer, ours: node.hello,
            certified: PeerIdentity(cluster: SimulatedNode.cluster, node: peer.name), settings: node.settings.link)
        machine?.opened(at: node.now, into: &actions)
        perform()
        tickLater()
    }

    private func tickLater() {
        simulation.plan(in: node.settings.link.tickInterval.microseconds, on: node) { [self] in
            guard !isOver else { return }
            machine?.interest = node.interest(for: id)
            if isBroken == .ignoresSilence, isEstablished { machine?.bytesArrived(at: node.now) }
            machine?.ticked(at: node.now, nonce: simulation.random.next() >> 1, into: &actions)
            perform()
            tickLater()
        }
    }

    /// A read brought bytes.
    func read(_ bytes: ByteBuffer) {
        guard machine != nil, !isOver else { return }
        decoder.append(bytes)
        machine?.bytesArrived(at: node.now)
        do throws(LLMgineError) {
            while !isOver, let frame = try decoder.next() {
                machine?.received(frame, at: node.now, into: &actions)
                perform()
            }
        } catch {
            fail(error)
        }
    }

    /// The connection is gone.
    func broke(_ reason: CloseReason) {
        machine?.closed(reason, into: &actions)
        perform()
        over(LinkClosure(reason, by: .transport))
    }

    /// The broker wants it closed.
    func close(_ reason: CloseReason, detail: String = "") {
        guard !isOver else { return }
        guard machine != nil else {
            over(LinkClosure(reason, by: .us))
            return wire.close(from: side)
        }
        machine?.closeRequested(reason, detail: detail, into: &actions)
        perform()
    }

    func leave(deadline: Duration) {
        guard !isOver else { return }
        machine?.leaveRequested(at: node.now, deadline: deadline, into: &actions)
        perform()
    }

    // MARK: Sending

    func send(_ frame: Frame) {
        guard !isOver else { return }
        outbox.send(frame)
        flushSoon()
    }

    /// Nil when the link is closed.
    func append(_ message: borrowing Message, sequence: UInt64, to flows: [UInt32], expires: Bool = true) -> Outbox.Appended? {
        guard !isOver else { return nil }
        do throws(LLMgineError) {
            let appended = try outbox.append(message, sequence: sequence, to: flows, at: node.now, expires: expires)
            flushSoon()
            return appended
        } catch {
            simulation.fault("\(node.name) cannot send a message: \(error)")
            return nil
        }
    }

    /// - Returns: false when the link is closed.
    func send(encoding message: Message, _ frame: (ByteBuffer) -> Frame) -> Bool {
        guard !isOver, let run = try? outbox.encode(message) else { return false }
        send(frame(run))
        return true
    }

    func update<Result>(_ change: (inout Outbox) -> Result) -> Result {
        let result = change(&outbox)
        if outbox.noteRoom() { wakeWaiters() }
        flushSoon()
        return result
    }

    /// Puts an event in line, and notes what has become of it.
    func offer(_ message: SimulatedMessage, to flows: [UInt32]) -> SimulatedOffer {
        switch append(message.encoded, sequence: message.number, to: flows) {
        case .nobody, nil: return .taken
        case .full: return .full
        case .paced(let rest): return .paced(rest)
        case .queued(let evicted, let rejected):
            self.evicted += evicted
            self.rejected += rejected
            simulation.tally.evicted += evicted
            simulation.tally.rejected += rejected
            if simulation.settings.isAudited {
                for flow in flows { passages[flow]?.accepted(message) }
            }
            return .taken
        }
    }

    /// Wakes somebody once there is room for the flows, or the link is over.
    func await(_ flows: [UInt32], by owner: AnyObject, then wake: @escaping () -> Void) {
        if !waiters.contains(where: { $0.owner === owner }) { waiters.append((owner, flows, wake)) }
    }

    private func wakeWaiters() {
        let all = waiters
        waiters = []
        for waiter in all {
            if outbox.isTurningAway(flows: waiter.flows) { waiters.append(waiter) } else { waiter.wake() }
        }
    }

    /// The event loop looks at the outbox some time soon, once however often it is asked.
    func flushSoon() {
        guard !isFlushPlanned, !isOver else { return }
        isFlushPlanned = true
        simulation.plan(in: Int64(simulation.draw(4) == 0 ? simulation.draw(400) : 0), on: node) { [self] in
            isFlushPlanned = false
            flush()
        }
    }

    private func flush() {
        guard isEstablished, !isOver else { return }
        while wire.isWritable(from: side) {
            let drained = outbox.drain(maximum: 8 << 10)
            wire.write(joined(drained), from: side)
            if drained.madeRoom { wakeWaiters() }
            guard drained.hasMore else { return }
        }
    }

    private func joined(_ drained: Outbox.Drained) -> ByteBuffer {
        var buffers = drained.buffers
        if isBroken == .reordersFrames, buffers.count >= 3 { buffers.swapAt(buffers.count - 1, buffers.count - 2) }
        if isBroken == .losesFrame, buffers.count >= 2, simulation.chance(30) { buffers.removeLast() }
        if packer != nil, !buffers.isEmpty,
            let packed = packer?.pack(buffers, hasControl: drained.hasControl, with: simulation.zlib.deflater)
        {
            buffers = packed
        }
        guard buffers.count != 1 else { return buffers[0] }
        var all = ByteBuffer()
        for buffer in buffers { all.writeImmutableBuffer(buffer) }
        return all
    }

    // MARK: What the machine decides

    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        var next = 0
        while next < actions.count, !isOver {
            let action = actions[next]
            next += 1
            perform(action)
        }
        actions.removeAll(keepingCapacity: true)
        isPerforming = false
    }

    private func perform(_ action: LinkAction) {
        switch action {
        case .send(let frame):
            if case .goodbye = frame { flush() }
            var buffer = ByteBuffer()
            frame.write(into: &buffer)
            wire.write(buffer, from: side)
        case .established(let session):
            isEstablished = true
            simulation.tally.links += 1
            limits = session.limits
            decoder.maximumFrame = session.limits.maximumFrame
            outbox.agreed(session.limits)
            if session.features.contains(.compression) { packer = FramePacker(limits: session.limits) }
            hello = session.peer
            node.linkEstablished(self, session.peer)
            flush()
        case .deliver(let frame):
            do throws(LLMgineError) { try deliver(frame) } catch { fail(error) }
        case .peerInterest(let version, let hash):
            node.tell { [id] in $0.peerReportedInterest(id, version: version, hash: hash, into: &$1) }
        case .inflate(let frame):
            do throws(LLMgineError) { try inflate(frame) } catch { fail(error) }
        case .peerMoved: simulation.fault("\(peer.name) moves a link to another connection, which nobody asked for")
        case .peerLeaving: node.tell { [id] in $0.peerLeaving(id, into: &$1) }
        case .close(let closure):
            over(closure)
            wire.close(from: side)
        }
    }

    /// The decoder goes on with what the frame holds, unless that is more than it may be.
    private func inflate(_ frame: CompressedFrame) throws(LLMgineError) {
        let run: ByteBuffer
        if isBroken == .inflatesAnything {
            run = try simulation.zlib.inflater.inflate(frame.deflated, length: Int(clamping: frame.length))
        } else {
            run = try frame.run(with: simulation.zlib.inflater, limits: limits)
        }
        simulation.tally.inflated += run.readableBytes
        if run.readableBytes > min(limits.maximumFrame, WireLimits.inflation * frame.deflated.readableBytes) {
            simulation.fault("\(node.name) inflates \(frame.deflated.readableBytes) bytes to \(run.readableBytes)")
        }
        if isBroken == .losesInflated, simulation.chance(20) { return }
        decoder.unpack(run)
    }

    /// Whether both ends compress.
    var isCompressed: Bool { packer != nil }

    private func fail(_ error: LLMgineError) {
        machine?.failed(error, into: &actions)
        perform()
    }

    private func over(_ closure: LinkClosure) {
        guard !isOver else { return }
        isOver = true
        judge(closure)
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter.wake() }
        node.linkClosed(self, wasEstablished: isEstablished)
    }

    /// A link may end for many reasons; that a node broke the protocol is none of them.
    private func judge(_ closure: LinkClosure) {
        if isEstablished { simulation.tally.linksLost += 1 }
        switch closure.reason {
        case .malformed, .limitExceeded, .unexpectedFrame, .creditOverdrawn, .tooManyFrames, .tooSlow, .unspecified, .versionMismatch,
            .clusterMismatch, .identityMismatch, .interestTimeout:
            if !wire.isTainted { simulation.fault("\(node.name) closes the link to \(peer.name): \(closure.error)") }
        case .ownNode, .duplicateIdentity, .handshakeTimeout, .duplicateLink, .superseded, .shuttingDown, .keepaliveTimeout,
            .connectionLost, .tlsFailure, .certificateExpired, .rolesChanged:
            break
        }
    }
}
