package import LLMgineCore
package import LLMgineWire

/// One connection between two nodes, from the first byte to the last, at either end.
///
/// ```
/// unopened ─ opened ─► awaitingHello ─ HELLO accepted ─► established ─ leaveRequested ─► leaving ─► closed
///                            └─ refused, timed out, lost ─► closed ◄─ goodbye, dead, abuse, lost ─┘
/// ```
///
/// It knows no socket and no clock. Which of two links between the same nodes stays is the broker's to decide: it then calls
/// ``closeRequested(_:detail:into:)``.
package struct LinkMachine: ~Copyable {
    /// Where the link is in its life.
    package enum Phase: Sendable, Hashable {
        /// The connection is not up yet. Goes to `awaitingHello` or `closed`.
        case unopened
        /// Our HELLO is out; only HELLO and REJECT may come. Goes to `established` or `closed`.
        case awaitingHello(since: Duration)
        /// Goes to `leaving` or `closed`.
        case established
        /// We have asked for no new work; at the given time we say goodbye. Goes to `closed`.
        case leaving(until: Duration)
        /// The end.
        case closed
    }

    /// Where the link is in its life.
    package private(set) var phase = Phase.unopened
    /// What was agreed, from establishment on, also after the link has closed.
    package private(set) var session: LinkSession?
    /// The version and hash of our own interest, which our PINGs carry. The shell sets it when they change.
    package var interest: (version: UInt64, hash: UInt64) = (0, 0)

    private let handshake: Handshake
    private let settings: LinkSettings
    private var keepalive = Keepalive(startedAt: .zero)
    private var abuse = AbuseMonitor()
    /// Ticks until the peer's first INTEREST must have come; nil when it has, or for a leaf, which tells a hub in reserve nothing.
    private var interestPatience: Int?

    /// A link over a connection that is coming up.
    /// - Parameters:
    ///   - ours: what we will say of ourselves.
    ///   - certified: whom the peer's verified certificate names.
    package init(role: LinkRole, ours: HelloFrame, certified: PeerIdentity, settings: LinkSettings = LinkSettings()) {
        self.handshake = Handshake(role: role, ours: ours, certified: certified)
        self.settings = settings
    }

    /// How long the last answered PING took, nil before the first.
    package var roundTrip: Duration? { keepalive.roundTrip }
    /// Whether the peer has been silent for so long that it may be gone.
    package var isSuspect: Bool { keepalive.isSuspect }

    /// The connection is up and TLS has verified the peer.
    package mutating func opened(at now: Duration, into actions: inout [LinkAction]) {
        guard case .unopened = phase else { return }
        phase = .awaitingHello(since: now)
        keepalive = Keepalive(startedAt: now)
        actions.append(.send(.hello(handshake.ours)))
    }

    /// A read brought bytes, whatever they hold.
    package mutating func bytesArrived(at now: Duration) { keepalive.heard(at: now) }

    /// The decoder cut a frame.
    package mutating func received(_ frame: Frame, at now: Duration, into actions: inout [LinkAction]) {
        switch phase {
        case .unopened: preconditionFailure("a frame on a connection that was never opened")
        case .awaitingHello: greeted(with: frame, at: now, into: &actions)
        case .established, .leaving: exchanged(frame, at: now, into: &actions)
        case .closed: break  // what was on the way when we closed
        }
    }

    /// What came breaks the protocol, or the broker says that it does.
    package mutating func failed(_ error: LLMgineError, into actions: inout [LinkAction]) {
        close(CloseReason(error), detail: error.detail, into: &actions)
    }

    /// Time has passed: called every ``LinkSettings/tickInterval``.
    /// - Parameter nonce: a number that differs from tick to tick, for a PING if one is due.
    package mutating func ticked(at now: Duration, nonce: UInt64, into actions: inout [LinkAction]) {
        switch phase {
        case .unopened, .closed: break
        case .awaitingHello(let since):
            if now - since >= settings.handshakeTimeout { close(.handshakeTimeout, into: &actions) }
        case .leaving(let until) where now >= until: close(.shuttingDown, into: &actions)
        case .established where isInterestOverdue(): close(.interestTimeout, into: &actions)
        case .established, .leaving: keptAlive(at: now, nonce: nonce, into: &actions)
        }
    }

    /// We want to go: the peer is asked for no new work, and at the deadline the link closes, unless it is closed before.
    package mutating func leaveRequested(at now: Duration, deadline: Duration, into actions: inout [LinkAction]) {
        switch phase {
        case .unopened, .awaitingHello: close(.shuttingDown, into: &actions)
        case .established:
            phase = .leaving(until: now + deadline)
            actions.append(.send(.leaving(LeavingFrame(deadline: deadline))))
        case .leaving, .closed: break
        }
    }

    /// We want it closed now.
    package mutating func closeRequested(_ reason: CloseReason, detail: String = "", into actions: inout [LinkAction]) {
        close(reason, detail: detail, into: &actions)
    }

    /// The connection is gone.
    /// - Parameter reason: what broke it, if that is known.
    package mutating func closed(_ reason: CloseReason = .connectionLost, detail: String = "", into actions: inout [LinkAction]) {
        end(LinkClosure(reason, by: .transport, detail: detail), into: &actions)
    }
}

// MARK: The handshake

extension LinkMachine {
    private mutating func greeted(with frame: Frame, at now: Duration, into actions: inout [LinkAction]) {
        switch frame {
        case .hello(let theirs):
            do throws(Handshake.Refusal) {
                let agreed = try handshake.check(theirs)
                session = agreed
                phase = .established
                keepalive = Keepalive(startedAt: now)
                if theirs.kind == .core { interestPatience = Int(settings.interestTimeout / settings.tickInterval) }
                actions.append(.established(agreed))
            } catch {
                close(error.reason, detail: error.detail, into: &actions)
            }
        case .reject(let refusal): end(refusal, into: &actions)
        case .ping, .pong, .leaving, .goodbye, .moved, .renew, .compressed, .interest, .interestAck, .interestWanted, .intern, .data,
            .grant, .blocked,
            .gap, .ack, .fragment, .drain, .drained, .request,
            .reply, .replyError, .replyCredit, .cancel, .callPart, .gossip, .unknown:
            close(.unexpectedFrame, detail: "\(frame.name) before HELLO", into: &actions)
        }
    }
}

// MARK: The exchange

extension LinkMachine {
    private mutating func exchanged(_ frame: Frame, at now: Duration, into actions: inout [LinkAction]) {
        if let kind = AbuseMonitor.Class(frame), !abuse.admits(kind, at: now) {
            return close(.tooManyFrames, detail: "\(frame.name): more than \(kind.perSecond) a second", into: &actions)
        }
        switch frame {
        case .interest:
            interestPatience = nil
            actions.append(.deliver(frame))
        case .data, .fragment, .request, .reply, .replyError, .intern, .grant, .blocked, .gap, .ack, .drain, .drained, .replyCredit,
            .cancel, .interestAck, .interestWanted, .gossip, .renew:
            actions.append(.deliver(frame))
        case .ping(let ping):
            actions.append(.send(.pong(PongFrame(nonce: ping.nonce))))
            actions.append(.peerInterest(version: ping.interestVersion, hash: ping.interestHash))
        case .moved: actions.append(.peerMoved)
        case .compressed(let run):
            guard let session, session.features.contains(.compression) else {
                return close(.unexpectedFrame, detail: "COMPRESSED, which was not agreed on", into: &actions)
            }
            actions.append(.inflate(run))
        case .callPart:
            guard let session, session.features.contains(.callParts) else {
                return close(.unexpectedFrame, detail: "CALL_PART, which was not agreed on", into: &actions)
            }
            actions.append(.deliver(frame))
        case .pong(let pong): keepalive.ponged(nonce: pong.nonce, at: now)
        case .leaving(let leaving): actions.append(.peerLeaving(deadline: leaving.deadline))
        case .goodbye(let goodbye):
            end(LinkClosure(CloseReason(rawValue: goodbye.code) ?? .unspecified, by: .peer, detail: goodbye.detail), into: &actions)
        case .reject(let refusal): end(refusal, into: &actions)  // it crossed: our HELLO came after theirs was sent
        case .hello: close(.unexpectedFrame, detail: "a second HELLO", into: &actions)
        case .unknown: break  // of a later version, and optional
        }
    }

    /// A peer that takes part tells its interest at once, even that it has none; another one has a place in the mesh for nothing.
    private mutating func isInterestOverdue() -> Bool {
        guard let left = interestPatience else { return false }
        interestPatience = left - 1
        return left <= 1
    }

    private mutating func keptAlive(at now: Duration, nonce: UInt64, into actions: inout [LinkAction]) {
        switch keepalive.ticked(at: now, nonce: nonce, settings: settings) {
        case .wait: break
        case .ping(let nonce):
            actions.append(.send(.ping(PingFrame(nonce: nonce, interestVersion: interest.version, interestHash: interest.hash))))
        case .dead(let silence): close(.keepaliveTimeout, detail: "nothing came for \(silence)", into: &actions)
        }
    }
}

// MARK: The end

extension LinkMachine {
    /// Ends the link from our side, saying why in the frame that the phase allows.
    private mutating func close(_ reason: CloseReason, detail: String = "", into actions: inout [LinkAction]) {
        let detail = detail.isEmpty ? reason.text : detail
        switch phase {
        case .unopened, .closed: break
        case .awaitingHello: actions.append(.send(.reject(RejectFrame(code: reason.rawValue, detail: detail))))
        case .established, .leaving: actions.append(.send(.goodbye(GoodbyeFrame(code: reason.rawValue, detail: detail))))
        }
        end(LinkClosure(reason, by: .us, detail: detail), into: &actions)
    }

    private mutating func end(_ refusal: RejectFrame, into actions: inout [LinkAction]) {
        end(LinkClosure(CloseReason(rawValue: refusal.code) ?? .unspecified, by: .peer, detail: refusal.detail), into: &actions)
    }

    private mutating func end(_ closure: LinkClosure, into actions: inout [LinkAction]) {
        guard phase != .closed else { return }
        phase = .closed
        actions.append(.close(closure))
    }
}

extension Frame {
    /// The frame's name for a log.
    fileprivate var name: String {
        if case .unknown(let type) = self { return "frame type \(type)" }
        return type?.name ?? "a frame"
    }
}
