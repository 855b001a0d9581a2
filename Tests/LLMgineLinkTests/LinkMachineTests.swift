import LLMgineCore
import LLMgineLink
import LLMgineWire
import NIOCore
import Testing

@Suite struct `A link that comes up` {
    @Test(arguments: [LinkRole.dialer, .acceptor])
    func `says hello, checks the peer's and is established`(role: LinkRole) {
        var link = LinkMachine(role: role, ours: Peer.a.hello, certified: Peer.b.identity)
        #expect(link.opened(at: .zero) == [.send(.hello(Peer.a.hello))])
        #expect(link.phase == .awaitingHello(since: .zero))
        let session = LinkSession(role: role, peer: Peer.b.hello, version: 1, features: .supported, limits: WireLimits())
        #expect(link.received(.hello(Peer.b.hello)) == [.established(session)])
        #expect(link.phase == .established)
        #expect(link.session == session)
    }

    @Test func `agrees on the lower limits`() {
        let small = Peer.b.hello(limits: WireLimits(maximumPayload: 4096))
        #expect(LinkMachine.established(with: small).session?.limits == WireLimits(maximumPayload: 4096))
        var tight = Peer.b.hello
        tight.maximumFrame = 100_000
        #expect(LinkMachine.established(with: tight).session?.limits.maximumPayload == 100_000 - WireLimits.frameOverhead)
        var boastful = Peer.b.hello
        (boastful.maximumFrame, boastful.maximumPayload) = (.max, .max)
        #expect(LinkMachine.established(with: boastful).session?.limits == WireLimits())
    }

    @Test func `speaks the highest common version`() {
        var later = Peer.b.hello
        later.protocols = 1...7
        #expect(LinkMachine.established(with: later).session?.version == 1)
    }

    @Test(arguments: Refused.all)
    func `rejects a peer that it cannot work with, saying why`(refused: Refused) {
        var link = LinkMachine(role: .acceptor, ours: Peer.a.hello, certified: refused.certified)
        _ = link.opened(at: .zero)
        let actions = link.received(.hello(refused.hello))
        #expect(actions.rejectCode == refused.reason.rawValue)
        #expect(actions.closure?.reason == refused.reason)
        #expect(actions.closure?.origin == .us)
        #expect(actions.count == 2)
        #expect(link.phase == .closed)
        #expect(link.session == nil)
    }

    @Test func `takes a leaf with its own name, since a leaf is no member`() {
        var hello = Peer.a.hello
        (hello.kind, hello.incarnation) = (.leaf, Incarnation(99))
        var hub = LinkMachine(role: .acceptor, ours: Peer.a.hello, certified: Peer.a.identity)
        _ = hub.opened(at: .zero)
        #expect(hub.received(.hello(hello)).closure == nil)
        #expect(hub.session?.peer == hello)
        var leaf = LinkMachine(role: .dialer, ours: hello, certified: Peer.a.identity)
        _ = leaf.opened(at: .zero)
        #expect(leaf.received(.hello(Peer.a.hello)).closure == nil)
        #expect(leaf.session?.peer == Peer.a.hello)
    }

    @Test(arguments: FrameType.allCases.filter { $0 != .hello && $0 != .reject })
    func `takes no other frame before HELLO`(type: FrameType) {
        var link = LinkMachine.opened()
        let actions = link.received(.sample(type))
        #expect(actions.rejectCode == CloseReason.unexpectedFrame.rawValue)
        #expect(actions.closure?.reason == .unexpectedFrame)
        #expect(link.received(.hello(Peer.b.hello)) == [])
    }

    @Test func `takes no frame of a later version before HELLO`() {
        var link = LinkMachine.opened()
        #expect(link.received(.unknown(0x7F)).closure?.reason == .unexpectedFrame)
    }

    @Test func `closes when it is rejected`() {
        var link = LinkMachine.opened()
        let refusal = RejectFrame(code: CloseReason.duplicateIdentity.rawValue, detail: "two of\nthem")
        #expect(link.received(.reject(refusal)) == [.close(LinkClosure(.duplicateIdentity, by: .peer, detail: "two of?them"))])
    }

    @Test func `closes for no known reason when the code is of a later version`() {
        var link = LinkMachine.opened()
        #expect(link.received(.reject(RejectFrame(code: 9999, detail: ""))).closure?.reason == .unspecified)
    }

    @Test func `waits three seconds for the hello`() {
        var link = LinkMachine.opened(at: .seconds(100))
        #expect(link.ticked(at: .milliseconds(102_999)) == [])
        let actions = link.ticked(at: .seconds(103))
        #expect(actions.rejectCode == CloseReason.handshakeTimeout.rawValue)
        #expect(actions.closure?.reason == .handshakeTimeout)
    }

    @Test func `is not kept waiting by bytes that are no hello`() {
        var link = LinkMachine.opened()
        link.bytesArrived(at: .milliseconds(2900))
        #expect(link.ticked(at: .seconds(3)).closure?.reason == .handshakeTimeout)
    }

    @Test func `that is told to leave is rejected as shutting down`() {
        var link = LinkMachine.opened()
        #expect(link.leaveRequested(at: .zero, deadline: .seconds(5)).rejectCode == CloseReason.shuttingDown.rawValue)
    }
}

@Suite struct `An established link` {
    @Test(arguments: FrameType.allCases)
    func `has an answer to every frame`(type: FrameType) {
        var link = LinkMachine.established()
        let frame = Frame.sample(type)
        let actions = link.received(frame)
        switch type {
        case .hello: #expect(actions.goodbyeCode == CloseReason.unexpectedFrame.rawValue)
        case .reject, .goodbye:
            #expect(actions == [.close(LinkClosure(.shuttingDown, by: .peer, detail: "bye"))])
        case .ping: #expect(actions == [.send(.pong(PongFrame(nonce: 7))), .peerInterest(version: 8, hash: 9)])
        case .pong: #expect(actions == [])
        case .moved: #expect(actions == [.peerMoved])
        case .compressed: #expect(actions.goodbyeCode == CloseReason.unexpectedFrame.rawValue)  // nobody has offered it
        case .leaving: #expect(actions == [.peerLeaving(deadline: .seconds(5))])
        case .interest, .interestAck, .interestWanted, .intern, .data, .grant, .blocked, .gap, .ack, .fragment, .drain, .drained, .request,
            .reply, .replyError, .replyCredit, .cancel, .callPart, .gossip, .renew:
            #expect(actions == [.deliver(frame)])
        }
    }

    @Test func `takes no parts of requests from a peer that has not said that it sends them`() {
        var older = Peer.b.hello
        older.features = [.moving, .policies]
        var link = LinkMachine.established(with: older)
        #expect(link.received(.sample(.callPart)).goodbyeCode == CloseReason.unexpectedFrame.rawValue)
    }

    @Test(arguments: FrameType.allCases)
    func `answers the same while it is leaving`(type: FrameType) {
        var established = LinkMachine.established()
        var leaving = LinkMachine.established()
        _ = leaving.leaveRequested(at: .zero, deadline: .seconds(5))
        #expect(leaving.received(.sample(type)) == established.received(.sample(type)))
    }

    @Test(arguments: FrameType.allCases)
    func `answers nothing once it is closed`(type: FrameType) {
        var link = LinkMachine.established()
        _ = link.received(.sample(.goodbye))
        #expect(link.received(.sample(type)) == [])
        #expect(link.ticked(at: .seconds(100)) == [])
        #expect(link.leaveRequested(at: .zero, deadline: .zero) == [])
        #expect(link.closed() == [])
        #expect(link.failed(LLMgineError(.malformedFrame, "")) == [])
    }

    @Test func `passes over frames of a later version`() {
        var link = LinkMachine.established()
        #expect(link.received(.unknown(0x7F)) == [])
    }

    @Test(arguments: [
        (LLMgineError.Code.malformedFrame, CloseReason.malformed), (.limitExceeded, .limitExceeded), (.unexpectedFrame, .unexpectedFrame),
        (.creditOverdrawn, .creditOverdrawn),
    ])
    func `says goodbye with the reason when what came is wrong`(code: LLMgineError.Code, reason: CloseReason) {
        var link = LinkMachine.established()
        #expect(
            link.failed(LLMgineError(code, "why")) == [
                .send(.goodbye(GoodbyeFrame(code: reason.rawValue, detail: "why"))), .close(LinkClosure(reason, by: .us, detail: "why")),
            ])
    }

    @Test func `closes for the broker's reasons`() {
        var link = LinkMachine.established()
        let actions = link.closeRequested(.superseded)
        #expect(actions.goodbyeCode == CloseReason.superseded.rawValue)
        #expect(actions.closure == LinkClosure(.superseded, by: .us, detail: CloseReason.superseded.text))
    }

    @Test func `is lost with its connection, and has nothing left to say`() {
        var link = LinkMachine.established()
        #expect(link.closed(detail: "reset") == [.close(LinkClosure(.connectionLost, by: .transport, detail: "reset"))])
    }

    @Test func `that leaves asks for no new work and closes at its deadline`() {
        var link = LinkMachine.established()
        #expect(link.leaveRequested(at: .seconds(1), deadline: .seconds(2)) == [.send(.leaving(LeavingFrame(deadline: .seconds(2))))])
        #expect(link.leaveRequested(at: .seconds(2), deadline: .seconds(20)) == [])
        #expect(link.received(.sample(.data)) == [.deliver(.sample(.data))])
        link.bytesArrived(at: .milliseconds(2900))
        #expect(link.ticked(at: .milliseconds(2999)).closure == nil)
        let actions = link.ticked(at: .seconds(3))
        #expect(actions.goodbyeCode == CloseReason.shuttingDown.rawValue)
        #expect(actions.closure?.reason == .shuttingDown)
    }

    @Test func `inflates only where both ends have offered it`() {
        for (here, there) in [(false, false), (true, false), (false, true), (true, true)] {
            var (ours, theirs) = (Peer.a.hello, Peer.b.hello)
            if here { ours.features.insert(.compression) }
            if there { theirs.features.insert(.compression) }
            var link = LinkMachine(role: .dialer, ours: ours, certified: Peer.b.identity)
            _ = link.opened(at: .zero)
            #expect(link.received(.hello(theirs)).closure == nil)
            let frame = CompressedFrame(length: 12, deflated: ByteBuffer(bytes: [1]))
            if here, there {
                #expect(link.received(.compressed(frame)) == [.inflate(frame)])
            } else {
                let actions = link.received(.compressed(frame))
                #expect(actions.closure == LinkClosure(.unexpectedFrame, by: .us, detail: "COMPRESSED, which was not agreed on"))
            }
        }
    }

    @Test func `does without what a peer of an earlier version has not heard of`() {
        var ours = Peer.a.hello
        ours.features.insert(.compression)
        var (old, later) = (Peer.b.hello, Peer.b.hello)
        old.features = []
        later.features = WireFeatures(rawValue: .max)
        let all: WireFeatures = [.moving, .compression, .policies, .callParts]
        for (theirs, agreed) in [(old, WireFeatures()), (later, all)] {
            var link = LinkMachine(role: .acceptor, ours: ours, certified: Peer.b.identity)
            _ = link.opened(at: .zero)
            _ = link.received(.hello(theirs))
            #expect(link.session?.features == agreed)
        }
    }

    /// Ticks every quarter of a second, with bytes so that the link is not taken for dead. - Returns: when it closes, and how.
    private func close(of link: inout LinkMachine, ticks: Int) -> (tick: Int, closure: LinkClosure)? {
        for tick in 1...ticks {
            link.bytesArrived(at: .milliseconds(250 * tick))
            if let closure = link.ticked(at: .milliseconds(250 * tick)).closure { return (tick, closure) }
        }
        return nil
    }

    @Test func `waits ten seconds for the interest of a member of the mesh`() {
        var silent = LinkMachine.established(isSilent: true)
        let end = close(of: &silent, ticks: 100)
        #expect(end?.tick == 40)
        #expect(end?.closure.reason == .interestTimeout)
        var told = LinkMachine.established(isSilent: true)
        #expect(close(of: &told, ticks: 39) == nil)
        _ = told.received(.sample(.interest))
        #expect(close(of: &told, ticks: 100) == nil)
    }

    @Test func `waits for no interest of a leaf, and not while it is held up itself`() {
        var hello = Peer.b.hello
        hello.kind = .leaf
        var leaf = LinkMachine.established(with: hello, isSilent: true)
        #expect(close(of: &leaf, ticks: 100) == nil)
        var late = LinkMachine.established(isSilent: true)
        late.bytesArrived(at: .seconds(60))
        #expect(late.ticked(at: .seconds(60)).closure == nil)
    }

    @Test func `closes on a flood of control frames`() {
        var link = LinkMachine.established()
        let answers = (0..<1001).map { _ in link.received(.sample(.ping), at: .seconds(1)) }
        #expect(answers.dropLast().allSatisfy { $0.closure == nil })
        #expect(answers.last?.goodbyeCode == CloseReason.tooManyFrames.rawValue)
        #expect(answers.last?.closure?.reason == .tooManyFrames)
    }
}

// MARK: The cast

/// Two nodes of one cluster, and what each says of itself.
enum Peer {
    case a, b

    var hello: HelloFrame { hello(limits: WireLimits()) }
    func hello(limits: WireLimits) -> HelloFrame {
        HelloFrame(cluster: "demo", node: self == .a ? "a" : "b", incarnation: Incarnation(self == .a ? 1 : 2), limits: limits)
    }
    var identity: PeerIdentity { PeerIdentity(cluster: "demo", node: hello.node) }
}

/// A HELLO that must not be accepted.
struct Refused: Sendable, CustomTestStringConvertible {
    let reason: CloseReason
    var certified = Peer.b.identity
    var hello = Peer.b.hello
    var testDescription: String { "\(reason): \(hello.cluster)/\(hello.node) certified \(certified.cluster)/\(certified.node)" }

    init(_ reason: CloseReason, _ change: (inout Refused) -> Void) {
        self.reason = reason
        change(&self)
    }

    static let all = [
        Refused(.versionMismatch) { $0.hello.protocols = 2...3 },
        Refused(.clusterMismatch) { $0.hello.cluster = "other" },
        Refused(.clusterMismatch) { $0.certified = PeerIdentity(cluster: "other", node: "b") },
        Refused(.identityMismatch) { $0.hello.node = "c" },
        Refused(.identityMismatch) { $0.certified = Peer.a.identity },
        Refused(.ownNode) { ($0.certified, $0.hello) = (Peer.a.identity, Peer.a.hello) },
        Refused(.duplicateIdentity) {
            ($0.certified, $0.hello) = (Peer.a.identity, Peer.a.hello)
            $0.hello.incarnation = Incarnation(99)
        },
        Refused(.limitExceeded) { $0.hello.maximumPayload = 1023 },
        Refused(.limitExceeded) { $0.hello.maximumFrame = 0 },
    ]
}

extension Frame {
    /// A frame of each type, as a peer in good faith would send it.
    static func sample(_ type: FrameType) -> Frame {
        let message = ByteBuffer(bytes: [3, 0, 1, 0])
        return switch type {
        case .hello: .hello(Peer.b.hello)
        case .reject: .reject(RejectFrame(code: CloseReason.shuttingDown.rawValue, detail: "bye"))
        case .ping: .ping(PingFrame(nonce: 7, interestVersion: 8, interestHash: 9))
        case .pong: .pong(PongFrame(nonce: 7))
        case .leaving: .leaving(LeavingFrame(deadline: .seconds(5)))
        case .goodbye: .goodbye(GoodbyeFrame(code: CloseReason.shuttingDown.rawValue, detail: "bye"))
        case .moved: .moved(MovedFrame())
        case .renew: .renew(RenewFrame())
        case .compressed: .compressed(CompressedFrame(length: 12, deflated: message))
        case .interest: .interest(InterestFrame(kind: .delta, fromVersion: 1, toVersion: 2, adds: []))
        case .interestAck: .interestAck(InterestAckFrame(version: 1))
        case .interestWanted: .interestWanted(InterestWantedFrame(sinceVersion: 0))
        case .intern: .intern(InternFrame(id: 1, text: "a"))
        case .data: .data(DataFrame(priority: .normal, flows: [1], baseSequence: 0, count: 1, messages: message))
        case .grant: .grant(GrantFrame(flow: 1, maximumMessages: 1, maximumBytes: 1))
        case .blocked: .blocked(BlockedFrame(flow: 1, atMessages: 1, atBytes: 1, nextBytes: 1, waitingMessages: 1, waitingBytes: 1))
        case .gap: .gap(GapFrame(flow: 1, priority: .low, count: 1))
        case .fragment: .fragment(FragmentFrame(number: 1, isLast: true, bytes: message))
        case .drain: .drain(DrainFrame(flow: 1, priority: .low))
        case .drained: .drained(DrainedFrame(flow: 1, priority: .low, atMessages: 1, atBytes: 1))
        case .ack: .ack(AckFrame(flow: 1, priority: .low, upTo: 1))
        case .request:
            .request(RequestFrame(request: 1, flow: 1, deadline: .seconds(1), replyMessages: 1, replyBytes: 1, message: message))
        case .reply: .reply(ReplyFrame(request: 1, isLast: true, message: message))
        case .replyError: .replyError(ReplyErrorFrame(request: 1, code: "noCapacity", detail: ""))
        case .replyCredit: .replyCredit(ReplyCreditFrame(request: 1, maximumMessages: 1, maximumBytes: 1))
        case .cancel: .cancel(CancelFrame(request: 1))
        case .callPart: .callPart(CallPartFrame(.request(1), .last, bytes: message))
        case .gossip: .gossip(GossipFrame(members: []))
        }
    }
}

// MARK: One event in, its actions out

extension LinkMachine {
    static func opened(at now: Duration = .zero) -> LinkMachine {
        var link = LinkMachine(role: .dialer, ours: Peer.a.hello, certified: Peer.b.identity)
        _ = link.opened(at: now)
        return link
    }

    /// - Parameter isSilent: whether the peer has not told its interest.
    static func established(
        at now: Duration = .zero, with hello: HelloFrame = Peer.b.hello, settings: LinkSettings = LinkSettings(), isSilent: Bool = false
    ) -> LinkMachine {
        var link = LinkMachine(role: .dialer, ours: Peer.a.hello, certified: Peer.b.identity, settings: settings)
        _ = link.opened(at: now)
        _ = link.received(.hello(hello), at: now)
        if !isSilent { _ = link.received(.sample(.interest), at: now) }
        return link
    }

    mutating func opened(at now: Duration) -> [LinkAction] {
        var actions: [LinkAction] = []
        opened(at: now, into: &actions)
        return actions
    }

    mutating func received(_ frame: Frame, at now: Duration = .zero) -> [LinkAction] {
        var actions: [LinkAction] = []
        received(frame, at: now, into: &actions)
        return actions
    }

    mutating func ticked(at now: Duration, nonce: UInt64 = 0) -> [LinkAction] {
        var actions: [LinkAction] = []
        ticked(at: now, nonce: nonce, into: &actions)
        return actions
    }

    mutating func leaveRequested(at now: Duration, deadline: Duration) -> [LinkAction] {
        var actions: [LinkAction] = []
        leaveRequested(at: now, deadline: deadline, into: &actions)
        return actions
    }

    mutating func closeRequested(_ reason: CloseReason) -> [LinkAction] {
        var actions: [LinkAction] = []
        closeRequested(reason, into: &actions)
        return actions
    }

    mutating func failed(_ error: LLMgineError) -> [LinkAction] {
        var actions: [LinkAction] = []
        failed(error, into: &actions)
        return actions
    }

    mutating func closed(detail: String = "") -> [LinkAction] {
        var actions: [LinkAction] = []
        closed(detail: detail, into: &actions)
        return actions
    }
}

extension [LinkAction] {
    var closure: LinkClosure? {
        for case .close(let closure) in self { return closure }
        return nil
    }
    var rejectCode: UInt64? {
        for case .send(.reject(let frame)) in self { return frame.code }
        return nil
    }
    var goodbyeCode: UInt64? {
        for case .send(.goodbye(let frame)) in self { return frame.code }
        return nil
    }
}
