import LLMgineCore
import LLMgineLink
import LLMgineWire
import NIOCore

/// A second connection to the same peer, past its handshake, that is to carry a link on.
struct LinkSuccessor: Sendable {
    let channel: any Channel
    /// What sits in its pipeline until the link's own handler comes.
    let carrier: NIOLoopBound<LinkHandler>
    /// What was agreed on it, which must be what the link has.
    let session: LinkSession
    let credentials: LinkCredentials
}

/// A link that changes its connection, so that new certificates come into use without a lost or reordered byte.
///
/// ```
///            here                                   there
///   old ──── ... DATA, MOVED ──────────────────►    reads on to MOVED, then never again
///   old ◄─── ... DATA, MOVED ───────────────────    the same, the other way
///   new ◄──► HELLO both ways, first of all: it says which link it continues
///   new ──── DATA ... (once MOVED was sent and received) ──►
/// ```
/// The session lives on: interest, credit, numbers of topics, requests under way. What is to be sent between the two MOVED waits here, a round
/// trip at most. If the new connection fails before MOVED was sent, nothing has happened; after that, the link is lost like any other.
struct LinkMove {
    var successor: LinkSuccessor?
    /// The peer sends nothing more on the old connection.
    var hasPeerMoved = false
    /// Ends a move that the peer does not carry through.
    var limit: Scheduled<Void>?
    /// What the machine said while nothing may be sent.
    var held = ByteBuffer()

    /// Whether MOVED was sent and nothing may follow it.
    var isHolding: Bool { successor != nil }

    static let patience = TimeAmount.seconds(10)
}

extension LinkHandler {
    // MARK: On the new connection

    /// The handshake on a second connection is over: its peer is the right one. The link's own handler takes it from here.
    func carry(_ session: LinkSession, _ context: ChannelHandlerContext) {
        guard let link = continuing ?? delegate.link(continuedBy: session), session.features.contains(.moving) else {
            return requestClose(.unexpectedFrame, detail: "there is no such link to continue")
        }
        continuing = link
        isCarrier = true
        tick?.cancel()
        // Whatever the peer sends now is for the link, once it is here.
        context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
        link.carry(
            on: LinkSuccessor(
                channel: context.channel, carrier: NIOLoopBound(self, eventLoop: context.eventLoop), session: session,
                credentials: credentials))
    }

    // MARK: On the old connection

    /// There is a new connection to move to.
    func carried(on successor: LinkSuccessor) {
        guard let context, isEstablished, !isOver, move.successor == nil, let session = machine?.session,
            session.peer.node == successor.session.peer.node, session.peer.incarnation == successor.session.peer.incarnation,
            session.limits == successor.session.limits, session.version == successor.session.version,
            session.features == successor.session.features
        else { return successor.channel.close(promise: nil) }
        guard Set(session.roles) == Set(successor.session.roles) else {
            // What the peer may do was settled when the link was made. The goodbye is read before the second connection ends.
            context.channel.closeFuture.whenComplete { [channel = successor.channel] _ in channel.close(promise: nil) }
            return requestClose(.rolesChanged, detail: "")
        }
        flush(isLast: true)
        move.successor = successor
        var buffer = context.channel.allocator.buffer(capacity: 8)
        Frame.moved(MovedFrame()).write(into: &buffer)
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
        limitMove(context)
        if move.hasPeerMoved { leaveConnection() }
    }

    /// The peer has sent its last on the old connection.
    func peerMoved() {
        guard let context else { return }
        guard decoder.pendingBytes == 0, !move.hasPeerMoved else {
            return requestClose(.unexpectedFrame, detail: "something followed MOVED")
        }
        move.hasPeerMoved = true
        if move.successor == nil { limitMove(context) } else { leaveConnection() }
    }

    private func limitMove(_ context: ChannelHandlerContext) {
        guard move.limit == nil else { return }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        move.limit = context.eventLoop.scheduleTask(in: LinkMove.patience) { handler.value.failMove("the peer did not move in time") }
    }

    func failMove(_ detail: String) {
        guard !isOver, move.successor != nil || move.hasPeerMoved else { return }
        machine?.closed(.connectionLost, detail: detail, into: &actions)
        if let context { perform(context) }
    }

    /// The new connection is gone before the link was on it.
    func successorLost(_ channel: ObjectIdentifier) {
        guard let successor = move.successor, ObjectIdentifier(successor.channel) == channel else { return }
        failMove("the connection that it was to move to is gone")
    }

    /// Both have moved: what is left is to go there. In a turn of the loop of its own, since the frame that led here is still being handled.
    private func leaveConnection() {
        guard let context else { return }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { handler.value.goOver() }
    }

    private func goOver() {
        guard let context, !isOver, let successor = move.successor else { return }
        tick?.cancel()
        resting?.cancel()
        isResting = false
        move.limit?.cancel()
        connection.attach(nil)
        self.context = nil
        let old = context.channel
        context.pipeline.syncOperations.removeHandler(self).whenComplete { _ in old.close(promise: nil) }
        let traveller = Traveller(handler: self)
        successor.channel.eventLoop.execute { traveller.handler.arrive(on: successor) }
    }

    /// Takes the place of the carrier, on the event loop of the new connection.
    private func arrive(on successor: LinkSuccessor) {
        connection.settle(on: successor.channel.eventLoop)
        let carrier = successor.carrier.value
        let held = move.held
        move = LinkMove()
        do {
            guard successor.channel.isActive else { throw ChannelError.ioOnClosedChannel }
            try successor.channel.pipeline.syncOperations.addHandler(self, position: .after(carrier))
        } catch {
            machine?.closed(.connectionLost, detail: "the connection that it moved to is gone", into: &actions)
            isPerforming = false
            for case .close(let closure) in actions { over(closure) }
            actions.removeAll()
            return
        }
        successor.channel.pipeline.syncOperations.removeHandler(carrier).whenFailure { _ in }
        credentials = successor.credentials
        connection.moved(to: credentials)
        startTicking(on: successor.channel.eventLoop)
        guard let context else { return }
        if held.readableBytes > 0 { context.writeAndFlush(Self.wrapOutboundOut(held), promise: nil) }
        delegate.linkMoved(connection)
        receive(carrier.takeCarried(), context)
        successor.channel.setOption(.autoRead, value: true).whenFailure { _ in }
        flush()
    }

    /// What came on a connection before the link did.
    private func takeCarried() -> ByteBuffer {
        var bytes = decoder.takePending()
        bytes.writeImmutableBuffer(carriedBytes)
        carriedBytes = ByteBuffer()
        return bytes
    }

    /// One handler on its way from one event loop to another.
    ///
    /// Unchecked because it is handed over whole: it is in no pipeline, its timers are cancelled and the connection's box for it is empty, so
    /// nothing on the old loop can reach it any more when the new loop takes it up.
    private struct Traveller: @unchecked Sendable {
        let handler: LinkHandler
    }
}
