import LLMgineCore
import LLMgineLink
import LLMgineWire
import NIOCore

import struct FoundationEssentials.Date

/// Drives one link: bytes in, frames to the machine, what the machine decides out again.
///
/// Sits behind TLS and the gate; until the gate has admitted a peer it does nothing but wait.
final class LinkHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How much is handed to TLS before looking at the channel's writability again: late enough to fill records, early enough for control
    /// to overtake data.
    private static let flushQuantum = 256 << 10
    /// From so many messages in one flush on, the loop rests after it.
    private static let busyMessages = 16
    /// Unless they were so many bytes: several full TLS records, which gain nothing by waiting.
    private static let fullBytes = 64 << 10
    private static let rest = TimeAmount.microseconds(100)
    /// How much is deflated before control may come between: less than a millisecond's worth.
    private static let packingQuantum = 64 << 10
    /// And before the other links of the loop get their turn.
    private static let packingTurn = 256 << 10
    /// Control that the peer has not read when time has passed; past it the link is closed.
    private static let maximumControlBytes = 8 << 20

    let connection: LinkConnection
    let delegate: any LinkDelegate
    private let hello: HelloFrame
    private let settings: LinkSettings
    private let compression: LinkCompression
    /// Makes frames shorter; nil where the two ends have not agreed on that, and then there is no more to it than this.
    var packer: FramePacker?
    var compressed = CompressionTally()
    var machine: LinkMachine?
    var decoder = FrameDecoder()
    var texts = InternedTexts()
    var fragments = FragmentAssembly()
    var calls = CallAssembly()
    var verdicts: TopicVerdicts?
    var actions: [LinkAction] = []
    var context: ChannelHandlerContext?
    var tick: RepeatedTask?
    private(set) var limits = WireLimits()
    var maximumPayload: Int { limits.maximumPayload }
    var isEstablished = false
    var isPerforming = false
    var isOver = false
    var isResting = false
    var resting: Scheduled<Void>?
    var move = LinkMove()
    /// The link that this connection is to continue.
    var continuing: LinkConnection?
    /// Whether this one only waits for the handler of that link.
    var isCarrier = false
    var carriedBytes = ByteBuffer()
    var credentials = LinkCredentials()
    private var failure: (any Error)?
    private let onIdentified: () -> Void
    private var progress = ProgressRule()
    private var received: UInt64 = 0

    init(
        connection: LinkConnection, delegate: any LinkDelegate, hello: HelloFrame, settings: LinkSettings,
        compression: LinkCompression = .off, continuing: LinkConnection? = nil,
        onIdentified: @escaping () -> Void = {}
    ) {
        self.onIdentified = onIdentified
        self.continuing = continuing
        self.connection = connection
        self.delegate = delegate
        self.hello = hello
        self.settings = settings
        self.compression = compression
    }

    static var now: Duration { .nanoseconds(Int64(clamping: NIODeadline.now().uptimeNanoseconds)) }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.attach(self)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let admitted = event as? PeerAdmitted, machine == nil, !isOver else { return context.fireUserInboundEventTriggered(event) }
        credentials = admitted.credentials
        onIdentified()
        let certified = PeerIdentity(cluster: admitted.identity.cluster, node: admitted.identity.node, roles: admitted.roles)
        var ours = hello
        if compression.applies(to: context.channel.remoteAddress) { ours.features.insert(.compression) }
        machine = LinkMachine(role: connection.role, ours: ours, certified: certified, settings: settings)
        machine?.opened(at: LinkHandler.now, into: &actions)
        perform(context)
        startTicking(on: context.eventLoop)
    }

    func startTicking(on eventLoop: any EventLoop) {
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        let interval = TimeAmount(settings.tickInterval)
        tick = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in handler.value.ticked() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isCarrier else {
            carriedBytes.writeImmutableBuffer(Self.unwrapInboundIn(data))
            return
        }
        receive(Self.unwrapInboundIn(data), context)
    }

    func receive(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        guard machine != nil, !isOver else { return }
        received &+= UInt64(bytes.readableBytes)
        decoder.append(bytes)
        let now = LinkHandler.now
        machine?.bytesArrived(at: now)
        do throws(LLMgineError) {
            while !isOver, !isCarrier, let frame = try decoder.next() {
                machine?.received(frame, at: now, into: &actions)
                perform(context)
            }
        } catch {
            fail(error, context)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { flush() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if failure == nil { failure = error }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if isCarrier {
            isOver = true
            continuing?.successorLost(ObjectIdentifier(context.channel))
            return context.fireChannelInactive()
        }
        if move.isHolding, move.hasPeerMoved { return context.fireChannelInactive() }  // it has served its time
        let reason = (failure as? LLMgineError).map(CloseReason.init) ?? .connectionLost
        machine?.closed(reason, detail: failure.map(LinkHandler.describe) ?? "", into: &actions)
        perform(context)
        // If it is not over yet, the machine never started: TLS or the gate refused the peer.
        over(LinkClosure(reason, by: .transport, detail: failure.map(LinkHandler.describe) ?? "closed during the TLS handshake"))
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        guard self.context === context else { return }  // it has gone over to another one
        tick?.cancel()
        connection.attach(nil)
        self.context = nil
    }

    private static func describe(_ error: any Error) -> String { (error as? LLMgineError)?.detail ?? String(describing: error) }

    // MARK: What the node asks for

    func requestClose(_ reason: CloseReason, detail: String) {
        guard let context, !isOver else { return }
        guard machine != nil else { return closeUnopened(reason, detail: detail, context) }
        machine?.closeRequested(reason, detail: detail, into: &actions)
        perform(context)
    }

    func requestLeave(deadline: Duration) {
        guard let context, !isOver else { return }
        guard machine != nil else { return closeUnopened(.shuttingDown, detail: "", context) }
        machine?.leaveRequested(at: LinkHandler.now, deadline: deadline, into: &actions)
        perform(context)
    }

    /// Nobody knows yet who the peer is, so there is nobody to say goodbye to.
    private func closeUnopened(_ reason: CloseReason, detail: String, _ context: ChannelHandlerContext) {
        over(LinkClosure(reason, by: .us, detail: detail))
        context.close(promise: nil)
    }

    private func ticked() {
        guard let context, !isOver else { return }
        if let expires = credentials.peerExpires, Date() >= expires {
            return requestClose(.certificateExpired, detail: "it ended on \(expires.formatted(.iso8601))")
        }
        if !progress.ticked(at: LinkHandler.now, received: received, isOpen: decoder.pendingBytes > 0) {
            return requestClose(.tooSlow, detail: "less than \(ProgressRule.bytes) bytes of a frame in \(ProgressRule.window)")
        }
        machine?.interest = delegate.linkInterest(connection)
        machine?.ticked(at: LinkHandler.now, nonce: UInt64.random(in: 0...UInt64(Int64.max)), into: &actions)
        perform(context)
        connection.measured(machine?.roundTrip, isSuspect: machine?.isSuspect ?? false)
        connection.expire()
        calls.expire(at: LinkHandler.now)
        if connection.read({ $0.controlBytes }) > LinkHandler.maximumControlBytes { controlUnread() }
    }

    private func controlUnread() { requestClose(.limitExceeded, detail: "the peer does not read its control frames") }

    /// Writes what credit and the socket allow. One `flush` of the channel for all of it.
    ///
    /// A flush that found many small messages shows that they come faster than one by one is worth a wake-up, a TLS record, a system call and
    /// the same again at the other end: then the loop rests before it looks again, as network cards do with interrupts. So an event that
    /// comes alone goes out at once, and at 160,000 a second and more they go out by the dozen, at most 100 us later.
    /// - Parameter isLast: whether there is no later: then other links wait, if what is compressed takes its time.
    func flush(isLast: Bool = false) {
        repeat {
            connection.beginFlush()
            guard let context, isEstablished, !isOver, !move.isHolding else {
                _ = connection.endFlush()  // what there is goes out once the link is established, or never
                return
            }
            let written = write(context, isLast: isLast)
            guard context.channel.isWritable else {  // it says when it is again
                // Control wakes this also while the socket is full, so that it cannot pile up until the next tick.
                if !isLast, connection.read({ $0.isOverfull }) { controlUnread() }
                return
            }
            if written.isInterrupted { return rest(context) }
            if written.messages >= LinkHandler.busyMessages, written.bytes < LinkHandler.fullBytes { return rest(context) }
        } while !connection.endFlush()
    }

    private func write(_ context: ChannelHandlerContext, isLast: Bool) -> (messages: Int, bytes: Int, isInterrupted: Bool) {
        var written = (messages: 0, bytes: 0, isInterrupted: false)
        while context.channel.isWritable {
            let drained = connection.drain(maximum: packer == nil ? LinkHandler.flushQuantum : LinkHandler.packingQuantum)
            for buffer in packer == nil ? drained.buffers : packed(drained) { context.write(Self.wrapOutboundOut(buffer), promise: nil) }
            if !drained.buffers.isEmpty { context.flush() }
            written.messages += drained.messages
            written.bytes += drained.bytes
            guard drained.hasMore else { break }
            if packer != nil, written.bytes >= LinkHandler.packingTurn, !isLast {
                written.isInterrupted = true
                break
            }
        }
        return written
    }

    private func rest(_ context: ChannelHandlerContext) {
        guard !isResting else { return }
        isResting = true
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        resting = context.eventLoop.scheduleTask(in: LinkHandler.rest) { handler.value.rested() }
    }

    private func rested() {
        isResting = false
        if connection.isAttentive { flush() }  // else it is on its way here already
    }

    // MARK: What the machine decides

    /// Does what the machine has decided, and what it decides on the way.
    func perform(_ context: ChannelHandlerContext) {
        guard !isPerforming else { return }
        isPerforming = true
        var next = 0
        while next < actions.count, !isOver {
            perform(actions[next], context)
            next += 1
        }
        actions.removeAll(keepingCapacity: true)
        isPerforming = false
    }

    private func perform(_ action: LinkAction, _ context: ChannelHandlerContext) {
        switch action {
        // It would pile up for a peer that asks and does not read, to whom it is no news: whatever waits is a sign of life.
        case .send(.pong) where !context.channel.isWritable: break
        case .send(let frame) where move.isHolding: frame.write(into: &move.held)
        case .send(let frame):
            if case .goodbye = frame { flush(isLast: true) }  // what was queued before it goes before it
            var buffer = context.channel.allocator.buffer(capacity: 64)
            frame.write(into: &buffer)
            context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
        case .established(let session) where connection.role == .dialer ? continuing != nil : session.peer.isContinuation:
            carry(session, context)
        case .established(let session):
            isEstablished = true
            connection.moved(to: credentials)
            limits = session.limits
            decoder.maximumFrame = session.limits.maximumFrame
            connection.update { $0.agreed(session.limits, features: session.features) }
            if session.features.contains(.compression) { beginCompression(session.limits) }
            delegate.linkEstablished(connection, session: session)
            verdicts = delegate.linkRules(connection).map(TopicVerdicts.init)
            flush()
        case .deliver(let frame):
            do throws(LLMgineError) { try deliver(frame) } catch { fail(error, context) }
        case .inflate(let frame):
            do throws(LLMgineError) { try inflate(frame) } catch { fail(error, context) }
        case .peerInterest(let version, let hash): delegate.linkPeerInterest(connection, version: version, hash: hash)
        case .peerMoved: peerMoved()
        case .peerLeaving(let deadline): delegate.linkPeerLeaving(connection, deadline: deadline)
        case .close(let closure):
            over(closure)
            context.close(promise: nil)
        }
    }

    private func fail(_ error: LLMgineError, _ context: ChannelHandlerContext) {
        machine?.failed(error, into: &actions)
        perform(context)
    }

    func over(_ closure: LinkClosure) {
        guard !isOver else { return }
        isOver = true
        tick?.cancel()
        move.limit?.cancel()
        move.successor?.channel.close(promise: nil)
        connection.ended()
        delegate.linkClosed(connection, closure, wasEstablished: isEstablished)
    }
}
