import Foundation
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTransport
import LLMgineWire
import NIOCore
import NIOPosix
import Testing

/// A node's end of its links: what it listens and dials with.
struct Station {
    let node: NodeID
    var endpoint: LinkEndpoint
    let delegate: Recorder

    init(
        _ node: NodeID, _ material: TLSMaterial, claiming claimed: NodeID? = nil, limits: WireLimits = WireLimits(),
        interest: (version: UInt64, hash: UInt64) = (0, 0), settings: LinkSettings = .quick
    ) {
        self.node = node
        self.delegate = Recorder(interest: interest)
        let hello = HelloFrame(cluster: "demo", node: claimed ?? node, incarnation: Incarnation(1), limits: limits)
        self.endpoint = LinkEndpoint(
            material: material, limits: limits, group: .singleton, settings: settings, hello: { hello })
    }

    func listen() async throws -> (listener: LinkListener, address: HostPort) {
        let listener = try await endpoint.listen(on: HostPort(host: "127.0.0.1", port: 0), delegate: delegate)
        guard let address = listener.address else { throw LLMgineError(.connectionClosed, "the listener has no address") }
        return (listener, address)
    }

    func dial(_ address: HostPort) async throws { try await endpoint.dial(address, delegate: delegate).get() }
}

extension LinkSettings {
    /// Ticks often, so that what hangs on a tick takes no time; dies as early as it may.
    static var quick: LinkSettings {
        var settings = LinkSettings(suspectAfter: .seconds(3))
        settings.tickInterval = .milliseconds(20)
        settings.pingAfter = .milliseconds(200)
        return settings
    }
}

/// Two nodes of one cluster, and who else is needed.
struct Neighbourhood {
    let workshop: Workshop
    let authority: CertificateAuthority

    init() throws {
        workshop = try Workshop()
        authority = try CertificateAuthority(cluster: "demo", start: Date(timeIntervalSinceNow: -86_400))
    }

    func station(
        _ node: NodeID, claiming claimed: NodeID? = nil, limits: WireLimits = WireLimits(),
        interest: (version: UInt64, hash: UInt64) = (0, 0)
    ) throws -> Station {
        Station(node, try workshop.material(node, by: authority), claiming: claimed, limits: limits, interest: interest)
    }

    /// `b` dials `a`. - Returns: the link as each of them has it.
    func link(_ a: Station, _ b: Station) async throws -> (a: LinkConnection, b: LinkConnection, listener: LinkListener) {
        let (listener, address) = try await a.listen()
        try await b.dial(address)
        return (await a.delegate.established().link, await b.delegate.established().link, listener)
    }

    /// What a node that is dialled by a rogue `b` reports, and what it says to the rogue.
    func meet(
        opening: ByteBuffer, next: ByteBuffer = ByteBuffer(), compression: LinkCompression = .off
    ) async throws -> (ending: Ending, said: [Frame]) {
        var a = try station("a")
        a.endpoint.compression = compression
        let (listener, address) = try await a.listen()
        let rogue = try workshop.material("b", by: authority)
        let heard = try await Rogue.dial(address, opening: opening, next: next) { try rogue.secureClient($0) }
        let met = (await a.delegate.ending(), try await heard.get())
        await listener.close()
        return met
    }

    static let hello = Frame.hello(HelloFrame(cluster: "demo", node: "b", incarnation: Incarnation(1)))
}

@Suite(.timeLimit(.minutes(1))) struct `Two nodes with a link` {
    let around: Neighbourhood

    init() throws { around = try Neighbourhood() }

    @Test func `know each other, and what the other takes`() async throws {
        let a = try around.station("a")
        let b = try around.station("b", limits: WireLimits(maximumPayload: 4096))
        let link = try await around.link(a, b)
        let (atA, atB) = (await a.delegate.established().session, await b.delegate.established().session)
        #expect((atA.role, atA.peer.node, atA.limits.maximumPayload) == (.acceptor, "b", 4096))
        #expect((atB.role, atB.peer.node, atB.limits.maximumPayload) == (.dialer, "a", 4096))
        link.a.update { $0.opened(flow: 1, whenFull: .block, window: Credit(messages: 9, bytes: .max)) }
        #expect(throws: LLMgineError(.limitExceeded, "")) {
            try link.a.append(Message(topic: "t", payload: ByteBuffer(repeating: 0, count: 4097)), sequence: 1, to: [1])
        }
        #expect(link.a.id != link.b.id)
    }

    @Test func `exchange messages as credit allows`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        link.a.update { $0.opened(flow: 7, whenFull: .block, window: Credit(messages: 3, bytes: 1000)) }
        for sequence in 1...5 as ClosedRange<UInt64> {
            let message = Message(topic: sequence == 2 ? "other" : "topic", payload: ByteBuffer(string: "hello"))
            #expect(try link.a.append(message, sequence: sequence, to: [7]) == .queued(evicted: 0, rejected: 0))
        }
        #expect(await b.delegate.sequences(3) == [1, 2, 3])
        let blocked: BlockedFrame = await b.delegate.first { if case .frame(.blocked(let frame)) = $0 { frame } else { nil } }
        // The last of the five may come after the loop has looked at the queue.
        let waiting = blocked.waitingMessages
        #expect((1...2).contains(waiting))
        #expect(
            blocked
                == BlockedFrame(flow: 7, atMessages: 3, atBytes: 15, nextBytes: 5, waitingMessages: waiting, waitingBytes: waiting * 9))
        link.b.send(.grant(GrantFrame(flow: 7, maximumMessages: 10, maximumBytes: 1000)))
        #expect(await b.delegate.sequences(5) == [1, 2, 3, 4, 5])
        #expect(b.delegate.log.flatMap(\.topics) == ["topic", "other", "topic", "topic", "topic"])
    }

    @Test func `exchange many messages of all lengths, in order`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        link.a.update { $0.opened(flow: 1, whenFull: .block, window: Credit(messages: .max, bytes: .max)) }
        let lengths = [0, 1, 100, 127, 128, 5000, 16_384, 70_000, 1 << 20]
        for sequence in 1...2000 as ClosedRange<UInt64> {
            let length = lengths[Int(sequence) % (sequence % 100 == 0 ? 9 : 6)]
            let message = Message(topic: "t", payload: ByteBuffer(repeating: 1, count: length))
            while try link.a.append(message, sequence: sequence, to: [1]) == .full { _ = await link.a.waitForRoom(for: [1]) { _ in } }
        }
        #expect(await b.delegate.sequences(2000) == Array(1...2000))
    }

    @Test func `ask and answer`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        try link.a.send(encoding: Message(topic: "ask", payload: ByteBuffer(string: "?"), eventType: "Q")) { run in
            .request(RequestFrame(request: 5, flow: 1, deadline: .seconds(1), replyMessages: 1, replyBytes: 100, message: run))
        }
        let (request, question) = await b.delegate.first { if case .message(let frame, let message) = $0 { (frame, message) } else { nil } }
        guard case .request(let frame) = request else { throw LLMgineError(.malformedFrame, "not a request") }
        #expect((frame.request, frame.deadline) == (5, .seconds(1)))
        #expect((question.topic, question.eventType, question.payload) == ("ask", "Q", ByteBuffer(string: "?")))
        try link.b.send(encoding: Message(topic: "ask", payload: ByteBuffer(string: "!"))) { run in
            .reply(ReplyFrame(request: 5, isLast: true, message: run))
        }
        let answer = await a.delegate.first { if case .message(_, let message) = $0 { message } else { nil } }
        #expect(answer.payload == ByteBuffer(string: "!"))
    }

    @Test func `tell each other the state of their interest, and how far away they are`() async throws {
        let (a, b) = (try around.station("a", interest: (4, 99)), try around.station("b"))
        let link = try await around.link(a, b)
        let told: [UInt64] = await b.delegate.first { if case .interest(let version, let hash) = $0 { [version, hash] } else { nil } }
        #expect(told == [4, 99])
        // A second PING follows the answer to the first.
        let pings = 2
        _ = await b.delegate.first { [b] _ in b.delegate.log.count { if case .interest = $0 { true } else { false } } >= pings ? true : nil
        }
        #expect(try #require(link.a.roundTrip) < .seconds(1))
    }

    @Test func `part with a reason, after what was queued before`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        link.a.update { $0.opened(flow: 1, whenFull: .block, window: Credit(messages: .max, bytes: .max)) }
        for sequence in 1...100 as ClosedRange<UInt64> {
            _ = try link.a.append(Message(topic: "t", payload: ByteBuffer(repeating: 1, count: 1000)), sequence: sequence, to: [1])
        }
        link.a.close(.shuttingDown, detail: "for today")
        #expect(await a.delegate.ending() == Ending(reason: .shuttingDown, origin: .us, wasEstablished: true, detail: "for today"))
        #expect(await b.delegate.ending() == Ending(reason: .shuttingDown, origin: .peer, wasEstablished: true, detail: "for today"))
        #expect(await b.delegate.sequences(100) == Array(1...100))
        #expect(try link.a.append(Message(topic: "t", payload: ByteBuffer()), sequence: 101, to: [1]) == nil)
        #expect(throws: LLMgineError(.connectionClosed, "")) {
            try link.a.send(encoding: Message(topic: "t", payload: ByteBuffer())) {
                .reply(ReplyFrame(request: 1, isLast: true, message: $0))
            }
        }
        #expect(await !link.a.waitForRoom(for: [1]) { _ in })
    }

    @Test func `announce that they leave`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        link.a.leave(deadline: .milliseconds(40))
        let deadline: Duration = await b.delegate.first { if case .leaving(let deadline) = $0 { deadline } else { nil } }
        #expect(deadline == .milliseconds(40))
        #expect(await a.delegate.ending().reason == .shuttingDown)
        #expect(await b.delegate.ending().reason == .shuttingDown)
    }

    @Test func `close when the parts of a message make no sense`() async throws {
        for part in [
            FragmentFrame(number: 1, isLast: true, bytes: ByteBuffer(bytes: [1])),
            FragmentFrame(
                number: 1, head: .init(priority: .low, flows: [1], baseSequence: 0, payloadBytes: 1 << 20, length: 1 << 40),
                bytes: ByteBuffer(bytes: [1])),
        ] {
            let (a, b) = (try around.station("a"), try around.station("b"))
            let link = try await around.link(a, b)
            link.a.send(.fragment(part))
            let reason: CloseReason = part.head == nil ? .malformed : .limitExceeded
            #expect(await b.delegate.ending().reason == reason)
            let ending = await a.delegate.ending()
            #expect((ending.reason, ending.origin) == (reason, .peer))
        }
    }

    @Test func `close when one of them finds fault with the other, and both know why`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        link.a.send(.cancel(CancelFrame(request: 666)))
        #expect(await b.delegate.ending() == Ending(reason: .creditOverdrawn, origin: .us, wasEstablished: true, detail: "as asked"))
        #expect(await a.delegate.ending() == Ending(reason: .creditOverdrawn, origin: .peer, wasEstablished: true, detail: "as asked"))
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A publisher that was turned away` {
    let around: Neighbourhood

    init() throws { around = try Neighbourhood() }

    private func fill(_ link: LinkConnection, flow: UInt32) throws -> UInt64 {
        link.update { $0.opened(flow: flow, whenFull: .block, window: .none) }
        var sequence: UInt64 = 0
        repeat { sequence += 1 } while try link.append(Message(topic: "t", payload: ByteBuffer()), sequence: sequence, to: [flow]) != .full
        return sequence
    }

    @Test func `is woken once there is room`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        let refused = try fill(link.a, flow: 1)
        _ = try fill(link.a, flow: 2)
        let hasRoom = await link.a.waitForRoom(for: [1]) { _ in
            link.b.send(.grant(GrantFrame(flow: 1, maximumMessages: .max, maximumBytes: .max)))
        }
        #expect(hasRoom)
        #expect(
            try link.a.append(Message(topic: "t", payload: ByteBuffer()), sequence: refused, to: [1]) == .queued(evicted: 0, rejected: 0))
        #expect(await b.delegate.sequences(Int(refused)) == Array(1...refused))
    }

    @Test func `does not wait for room that was made before it could`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        _ = try fill(link.a, flow: 2)
        let refused = try fill(link.a, flow: 1)
        link.b.send(.grant(GrantFrame(flow: 1, maximumMessages: .max, maximumBytes: .max)))
        _ = await b.delegate.sequences(Int(refused) - 1)
        #expect(await link.a.waitForRoom(for: [1]) { _ in Issue.record("it waits for flow 2") })
    }

    @Test func `is woken when the flow is demoted or closed, or the link is`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        for flow in 1...3 as ClosedRange<UInt32> { _ = try fill(link.a, flow: flow) }
        #expect(await link.a.waitForRoom(for: [1]) { _ in _ = link.a.update { $0.demoted(flows: [1]) } })
        #expect(await link.a.waitForRoom(for: [2]) { _ in _ = link.a.update { $0.closed(flow: 2) } })
        #expect(await !link.a.waitForRoom(for: [3]) { link.a.giveUp($0) })
        #expect(await !link.a.waitForRoom(for: [3]) { _ in link.a.close(.shuttingDown) })
        _ = b
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A node's port` {
    let around: Neighbourhood

    init() throws { around = try Neighbourhood() }

    @Test(arguments: [Array("GET / HTTP/1.1\r\n\r\n".utf8), [UInt8](repeating: 0xA5, count: 3000), Array("LLMG".utf8)])
    func `refuses what is not TLS, says so, and serves its links on`(line: [UInt8]) async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let (_, address) = try await a.listen()
        try await b.dial(address)
        let link = await b.delegate.established().link
        let other = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(PlainSpeaker(line)) }
            }
            .connect(host: address.host, port: address.port).get()
        if line.count < 5 { try await other.close() }
        let ending = await a.delegate.ending()
        #expect((ending.reason, ending.origin, ending.wasEstablished) == (.tlsFailure, .transport, false))
        let expected = line.count < 5 ? "the peer closed the connection during the TLS handshake" : "what the peer sent is not TLS at all"
        #expect(ending.detail == expected)
        link.send(.cancel(CancelFrame(request: 1)))
        let request: UInt64 = await a.delegate.first { if case .frame(.cancel(let cancel)) = $0 { cancel.request } else { nil } }
        #expect(request == 1)
        #expect(b.delegate.log.allSatisfy { if case .closed = $0 { false } else { true } })
    }

    @Test func `is closed to another CA, and both ends know why`() async throws {
        let a = try around.station("a")
        let b = Station("b", try around.workshop.material("b", by: CertificateAuthority(cluster: "demo")))
        let (_, address) = try await a.listen()
        try await b.dial(address)
        #expect(await b.delegate.ending().detail == "the peer's certificate comes from an unknown CA")
        #expect(await a.delegate.ending().detail == "the peer refused this node's certificate: unknown CA")
        #expect(!a.delegate.wasEverEstablished && !b.delegate.wasEverEstablished)
    }

    @Test func `is closed to an expired certificate, and both ends know why`() async throws {
        let a = try around.station("a")
        let b = Station("b", try around.workshop.expiredMaterial("b", by: around.authority))
        let (_, address) = try await a.listen()
        try await b.dial(address)
        #expect(await a.delegate.ending().detail == "the peer's certificate has expired")
        #expect(await b.delegate.ending().detail == "the peer refused this node's certificate: expired or not yet valid there")
        #expect(!a.delegate.wasEverEstablished && !b.delegate.wasEverEstablished)
    }

    @Test func `is closed to who shows no certificate`() async throws {
        let a = try around.station("a")
        try around.authority.save(to: around.workshop.path("trusted"))
        let gate = try around.workshop.material("b", by: around.authority)
        let (_, address) = try await a.listen()
        let heard = try await Rogue.dial(address, opening: .of(Neighbourhood.hello)) { [path = around.workshop.path("trusted/ca.pem")] in
            try Foreign(authority: path).secure($0, gate: gate)
        }
        #expect(await a.delegate.ending().detail == "the peer presented no certificate")
        #expect(try await heard.get() == [])
        #expect(!a.delegate.wasEverEstablished)
    }

    @Test func `that nobody listens on is told apart`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let (listener, address) = try await a.listen()
        await listener.close()
        await #expect(throws: LLMgineError(.connectionClosed, "")) { try await b.dial(address) }
        #expect(b.delegate.log.isEmpty)
        let (taken, again) = try await a.listen()
        await #expect(throws: LLMgineError(.connectionClosed, "")) { _ = try await b.endpoint.listen(on: again, delegate: b.delegate) }
        await taken.close()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A peer with a certificate` {
    let around: Neighbourhood

    init() throws { around = try Neighbourhood() }

    @Test func `must be the one that it names`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b", claiming: "c"))
        let (_, address) = try await a.listen()
        try await b.dial(address)
        #expect(
            await a.delegate.ending()
                == Ending(reason: .identityMismatch, origin: .us, wasEstablished: false, detail: "claimed c, certified b"))
        #expect(!a.delegate.wasEverEstablished)
    }

    @Test func `is cut off for a malformed frame, and told why`() async throws {
        var ping = ByteBuffer.of(.ping(PingFrame(nonce: 1, interestVersion: 0, interestHash: 0)))
        ping.setInteger(UInt32(ping.readableBytes - 5), at: 0)
        let (ending, said) = try await around.meet(opening: .of(Neighbourhood.hello), next: ping)
        #expect((ending.reason, ending.origin, ending.wasEstablished) == (.malformed, .us, true))
        #expect(try #require(said.farewell) == (CloseReason.malformed.rawValue, try #require(ending.detail)))
    }

    @Test func `is cut off for DATA with a number that it never announced`() async throws {
        var run = ByteBuffer()
        MessageWriter.write(MessageFields(topicRef: 3), payload: ByteBuffer(), into: &run)
        let data = Frame.data(DataFrame(priority: .normal, flows: [1], baseSequence: 1, count: 1, messages: run))
        let (ending, said) = try await around.meet(opening: .of(Neighbourhood.hello), next: .of(data))
        #expect(ending.reason == .malformed)
        #expect(said.farewell?.code == CloseReason.malformed.rawValue)
    }

    @Test func `is cut off for a frame that announces more than was agreed`() async throws {
        var frame = ByteBuffer()
        frame.writeInteger(UInt32(WireLimits().maximumFrame + 1))
        let (ending, said) = try await around.meet(opening: .of(Neighbourhood.hello), next: frame)
        #expect((ending.reason, ending.wasEstablished) == (.limitExceeded, true))
        #expect(said.farewell?.code == CloseReason.limitExceeded.rawValue)
    }

    @Test func `is cut off before it has said hello for a frame of more than 16 KiB, or another one`() async throws {
        var large = ByteBuffer()
        large.writeInteger(UInt32((16 << 10) + 1))
        let tooLarge = try await around.meet(opening: large)
        #expect((tooLarge.ending.reason, tooLarge.ending.wasEstablished) == (.limitExceeded, false))
        #expect(tooLarge.said.farewell?.code == CloseReason.limitExceeded.rawValue)
        let early = try await around.meet(opening: .of(.pong(PongFrame(nonce: 1))))
        #expect((early.ending.reason, early.ending.wasEstablished) == (.unexpectedFrame, false))
        #expect(early.said.farewell?.code == CloseReason.unexpectedFrame.rawValue)
    }

    @Test func `is cut off for a flood of control frames`() async throws {
        var flood = ByteBuffer()
        for nonce in 0..<1200 as Range<UInt64> {
            Frame.ping(PingFrame(nonce: nonce, interestVersion: 0, interestHash: 0)).write(into: &flood)
        }
        let (ending, said) = try await around.meet(opening: .of(Neighbourhood.hello), next: flood)
        #expect((ending.reason, ending.origin) == (.tooManyFrames, .us))
        #expect(said.farewell?.code == CloseReason.tooManyFrames.rawValue)
        #expect(said.count { if case .pong = $0 { true } else { false } } < 1100)
    }

    @Test func `that sends PING and reads nothing has no PONG kept for it`() async throws {
        let a = try around.station("a")
        let (listener, address) = try await a.listen()
        let material = try around.workshop.material("b", by: around.authority)
        let (channel, heard) = try await Rogue.connect(address, opening: .of(Neighbourhood.hello)) { try material.secureClient($0) }
        let link = await a.delegate.established().link
        try await channel.setOption(.autoRead, value: false).get()
        link.update { $0.opened(flow: 1, whenFull: .block, window: Credit(messages: .max, bytes: .max)) }
        let message = Message(topic: "t", payload: ByteBuffer(repeating: 1, count: 32 << 10))
        var sequence: UInt64 = 0
        var queued = 1
        while queued > 0 {  // until the loop has had its turn and the socket took nothing
            queued = 0
            while case .queued? = try link.append(message, sequence: sequence, to: [1]) {
                sequence += 1
                queued += 1
            }
            try await link.eventLoop.submit {}.get()
        }
        let pings = 500
        var flood = ByteBuffer()
        for nonce in 0..<UInt64(pings) { Frame.ping(PingFrame(nonce: nonce, interestVersion: 0, interestHash: 0)).write(into: &flood) }
        Frame.cancel(CancelFrame(request: 1)).write(into: &flood)
        try await channel.writeAndFlush(flood).get()
        let _: Bool = await a.delegate.first { if case .frame(.cancel) = $0 { true } else { nil } }
        try await channel.setOption(.autoRead, value: true).get()
        // Then what was written before has gone out.
        #expect(await link.waitForRoom(for: [1]) { _ in })
        link.close(.shuttingDown)
        let pongs = try await heard.get().count { if case .pong = $0 { true } else { false } }
        #expect(pongs < pings / 2)  // some if the socket took a little more in between
        await listener.close()
    }

    /// The one slow test: a link may not be given up sooner than after three seconds.
    @Test func `that falls silent is given up after three seconds`() async throws {
        let started = ContinuousClock.now
        let (ending, said) = try await around.meet(opening: .of(Neighbourhood.hello))
        #expect((ending.reason, ending.origin, ending.wasEstablished) == (.keepaliveTimeout, .us, true))
        #expect(said.farewell?.code == CloseReason.keepaliveTimeout.rawValue)
        #expect(ContinuousClock.now - started >= .seconds(3))
        #expect(said.contains { if case .ping = $0 { true } else { false } })
    }
}
