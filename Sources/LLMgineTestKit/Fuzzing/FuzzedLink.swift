import LLMgineCore
package import LLMgineLink
package import LLMgineWire
package import NIOCore

/// One end of a link that is fed whatever somebody can think of, and watches that it stays a link.
///
/// It does with bytes what the link handler does: decoder, machine, message index, interned texts. ``complaints`` is what must not have
/// happened; what traps needs no complaint.
package struct FuzzedLink: ~Copyable {
    /// Where the link is when the bytes come.
    package enum Start: UInt8, Sendable, CaseIterable {
        case awaitingHello, established, leaving, closed
    }

    package private(set) var complaints: [String] = []
    /// Frames that came through to the broker.
    package private(set) var delivered = 0
    package private(set) var closure: LinkClosure?
    package private(set) var isEstablished = false

    private var machine: LinkMachine
    private var decoder = FrameDecoder()
    private var texts = InternedTexts()
    private var now = Duration.zero
    private var limits = WireLimits()
    private let inflater = Inflater()

    package static let ours = hello(of: "here")
    package static let theirs = hello(of: "there")

    private static func hello(of node: NodeID) -> HelloFrame {
        HelloFrame(
            cluster: "fuzz", node: node, incarnation: Incarnation(1), limits: WireLimits(), features: [.supported, .compression])
    }

    /// A link of which everything up to the start went well.
    package init(at start: Start) {
        machine = LinkMachine(role: .acceptor, ours: FuzzedLink.ours, certified: PeerIdentity(cluster: "fuzz", node: "there"))
        var actions: [LinkAction] = []
        machine.opened(at: now, into: &actions)
        act(actions)
        guard start != .awaitingHello else { return }
        read(FuzzedLink.bytes(of: .hello(FuzzedLink.theirs)))
        switch start {
        case .awaitingHello, .established: break
        case .leaving:
            var actions: [LinkAction] = []
            machine.leaveRequested(at: now, deadline: .seconds(5), into: &actions)
            act(actions)
        case .closed:
            var actions: [LinkAction] = []
            machine.closeRequested(.shuttingDown, into: &actions)
            act(actions)
        }
    }

    /// The frame as it goes over the wire.
    package static func bytes(of frame: Frame) -> ByteBuffer {
        var bytes = ByteBuffer()
        frame.write(into: &bytes)
        return bytes
    }

    /// A read brings bytes.
    package mutating func read(_ bytes: ByteBuffer) {
        guard closure == nil else { return machineAfterTheEnd() }
        decoder.append(bytes)
        machine.bytesArrived(at: now)
        do throws(LLMgineError) {
            while closure == nil, let frame = try decoder.next() {
                var actions: [LinkAction] = []
                machine.received(frame, at: now, into: &actions)
                act(actions)
            }
        } catch {
            fail(error)
        }
        if decoder.pendingBytes > decoder.maximumFrame + 4 { complaints.append("\(decoder.pendingBytes) bytes are kept of one frame") }
    }

    /// Time passes.
    package mutating func pass(_ time: Duration) {
        now += time
        var actions: [LinkAction] = []
        machine.ticked(at: now, nonce: 7, into: &actions)
        act(actions)
    }

    private mutating func machineAfterTheEnd() {
        var actions: [LinkAction] = []
        machine.received(.ping(PingFrame(nonce: 1, interestVersion: 0, interestHash: 0)), at: now, into: &actions)
        if !actions.isEmpty { complaints.append("a closed link acts: \(actions)") }
    }

    private mutating func fail(_ error: LLMgineError) {
        var actions: [LinkAction] = []
        machine.failed(error, into: &actions)
        act(actions)
        if closure == nil { complaints.append("a link goes on after \(error)") }
    }

    private mutating func act(_ actions: [LinkAction]) {
        for action in actions {
            if closure != nil { complaints.append("after its end: \(action)") }
            switch action {
            case .send: break
            case .established(let session):
                if isEstablished { complaints.append("established twice") }
                if session.peer.node != FuzzedLink.theirs.node { complaints.append("another node than the certified one was let in") }
                isEstablished = true
                decoder.maximumFrame = session.limits.maximumFrame
                limits = session.limits
            case .deliver(let frame):
                if !isEstablished { complaints.append("a frame came through before the handshake") }
                delivered += 1
                do throws(LLMgineError) { try look(into: frame) } catch { fail(error) }
            case .inflate(let compressed):
                if !isEstablished { complaints.append("something is inflated before the handshake") }
                inflate(compressed)
            case .peerInterest, .peerMoved, .peerLeaving:
                if !isEstablished { complaints.append("\(action) before the handshake") }
            case .close(let closure): self.closure = closure
            }
        }
    }

    private mutating func inflate(_ compressed: CompressedFrame) {
        do throws(LLMgineError) {
            let run = try compressed.run(with: inflater, limits: limits)
            if run.readableBytes > limits.maximumFrame { complaints.append("\(run.readableBytes) bytes came out of a COMPRESSED") }
            decoder.unpack(run)
        } catch { fail(error) }
    }

    private mutating func look(into frame: Frame) throws(LLMgineError) {
        let index: MessageIndex
        switch frame {
        case .intern(let intern): return try texts.define(intern)
        case .data(let data): index = try data.index(highestIntern: texts.highest, maximumPayload: limits.maximumPayload)
        case .request(let request): index = try request.index(highestIntern: texts.highest, maximumPayload: limits.maximumPayload)
        case .reply(let reply): index = try reply.index(highestIntern: texts.highest, maximumPayload: limits.maximumPayload)
        default: return
        }
        for (place, entry) in index.entries.enumerated() {
            if entry.topicRef > 0 { _ = try texts.topic(entry.topicRef) }
            _ = try texts.eventType(entry.typeRef)
            _ = index[place].headers.count
        }
    }
}

/// What libFuzzer and the seeded fuzzer feed.
package enum Fuzz {
    /// Any bytes are a stream of frames, or are refused.
    /// - Returns: what must not have happened.
    package static func link(_ bytes: some Collection<UInt8>) -> [String] {
        guard let first = bytes.first else { return [] }
        let starts = FuzzedLink.Start.allCases
        var link = FuzzedLink(at: starts[Int(first) % starts.count])
        // Bits above choose how the stream is cut.
        let piece = Int(first >> 2) % 17
        var rest = ByteBuffer(bytes: bytes.dropFirst())
        while rest.readableBytes > 0 {
            let length = piece == 0 ? rest.readableBytes : min(piece, rest.readableBytes)
            if let slice = rest.readSlice(length: length) { link.read(slice) }
        }
        link.pass(.milliseconds(250))
        link.pass(.seconds(30))
        return link.complaints
    }
}
