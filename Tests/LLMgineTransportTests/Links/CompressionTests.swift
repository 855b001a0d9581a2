import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTransport
import LLMgineWire
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A peer that compresses` {
    let around: Neighbourhood

    init() throws { around = try Neighbourhood() }

    private static let offer: ByteBuffer = {
        let hello = HelloFrame(
            cluster: "demo", node: "b", incarnation: Incarnation(1), features: WireFeatures.supported.union(.compression))
        return .of(.hello(hello))
    }()

    private static func compressed(_ run: ByteBuffer, announcing length: Int? = nil) -> ByteBuffer {
        var deflated = ByteBuffer()
        let fits = Deflater().deflate([run], into: &deflated, maximum: run.readableBytes + 100)
        #expect(fits)
        return .of(.compressed(CompressedFrame(length: UInt64(length ?? run.readableBytes), deflated: deflated)))
    }

    @Test func `is heard before it has said hello by nobody, whatever is in it`() async throws {
        let (ending, said) = try await around.meet(opening: Self.compressed(Self.offer), compression: .on)
        #expect((ending.reason, ending.wasEstablished) == (.unexpectedFrame, false))
        #expect(said.farewell?.detail == "COMPRESSED before HELLO")
    }

    @Test(arguments: [
        (LinkCompression.off, true), (.auto, true), (.on, false),
    ])
    func `is cut off where that was not agreed on`(compression: LinkCompression, offers: Bool) async throws {
        let (ending, said) = try await around.meet(
            opening: offers ? Self.offer : .of(Neighbourhood.hello), next: Self.compressed(.of(.cancel(CancelFrame(request: 1)))),
            compression: compression)
        #expect((ending.reason, ending.wasEstablished) == (.unexpectedFrame, true))
        #expect(said.farewell?.detail == "COMPRESSED, which was not agreed on")
        let hello = try #require(said.first.flatMap { if case .hello(let hello) = $0 { hello } else { nil } })
        #expect(hello.features.contains(.compression) == (compression == .on))
    }

    @Test func `is cut off for a bomb, and told why`() async throws {
        let zeros = ByteBuffer(repeating: 0, count: 1 << 20)
        for (bomb, reason, detail) in [
            (Self.compressed(zeros), .limitExceeded, "more than 100 times as many"),
            (Self.compressed(zeros, announcing: 20 << 20), .limitExceeded, "where at most 1114112 are allowed"),
            (Self.compressed(zeros, announcing: 9000), .malformed, "there are not just the 9000 bytes that it announces"),
        ] as [(ByteBuffer, CloseReason, String)] {
            let (ending, said) = try await around.meet(opening: Self.offer, next: bomb, compression: .on)
            #expect((ending.reason, ending.origin, ending.wasEstablished) == (reason, .us, true))
            #expect(said.farewell?.code == reason.rawValue)
            #expect(said.farewell?.detail.hasSuffix(detail) == true, "\(String(describing: said.farewell))")
        }
    }

    @Test func `is cut off for what only a link may say, and for a frame within a frame`() async throws {
        for frame in [Frame.ping(PingFrame(nonce: 1, interestVersion: 0, interestHash: 0)), .goodbye(GoodbyeFrame(code: 12, detail: ""))] {
            let (ending, _) = try await around.meet(opening: Self.offer, next: Self.compressed(.of(frame)), compression: .on)
            #expect((ending.reason, ending.detail) == (.unexpectedFrame, "\(frame.type?.name ?? "") in COMPRESSED"))
        }
        let inner = Self.compressed(.of(.cancel(CancelFrame(request: 1))))
        let (ending, _) = try await around.meet(opening: Self.offer, next: Self.compressed(inner), compression: .on)
        #expect((ending.reason, ending.detail) == (.unexpectedFrame, "COMPRESSED in COMPRESSED"))
    }

    @Test func `keeps its compression when it moves to a second connection`() async throws {
        var (a, b) = (try around.station("a"), try around.station("b"))
        (a.endpoint.compression, b.endpoint.compression) = (.on, .on)
        let link = try await around.link(a, b)
        link.a.update { $0.opened(flow: 1, whenFull: .block, window: Credit(messages: .max, bytes: .max)) }
        for number in 1...2000 as ClosedRange<UInt64> {
            _ = try link.a.append(Message(topic: "t", payload: ByteBuffer(repeating: 32, count: 500)), sequence: number, to: [1])
            if number == 1000 { try b.endpoint.renew(link.b).whenFailure { Issue.record($0) } }
        }
        let _: Bool = await b.delegate.first { if case .moved = $0 { true } else { nil } }
        let before = try #require(link.a.compression)
        for number in 2001...4000 as ClosedRange<UInt64> {
            _ = try link.a.append(Message(topic: "t", payload: ByteBuffer(repeating: 32, count: 500)), sequence: number, to: [1])
        }
        #expect(await b.delegate.sequences(4000) == Array(1...4000))
        let after = try #require(link.a.compression)
        #expect(after.sent > before.sent && after.sentOnWire * 10 < after.sent)
        link.a.close(.shuttingDown)
        #expect(await b.delegate.ending().reason == .shuttingDown)
    }

    @Test func `parts after what was queued before`() async throws {
        var (a, b) = (try around.station("a"), try around.station("b"))
        (a.endpoint.compression, b.endpoint.compression) = (.on, .on)
        let link = try await around.link(a, b)
        link.a.update { $0.opened(flow: 1, whenFull: .block, window: Credit(messages: .max, bytes: .max)) }
        for number in 1...1000 as ClosedRange<UInt64> {
            _ = try link.a.append(Message(topic: "t", payload: ByteBuffer(repeating: 32, count: 4000)), sequence: number, to: [1])
        }
        link.a.close(.shuttingDown)
        #expect(await b.delegate.ending().reason == .shuttingDown)
        #expect(await b.delegate.sequences(1000) == Array(1...1000))
    }
}

@Suite struct `Compression by address` {
    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.255.254", true), ("10.0.0.1", true), ("172.16.0.1", true), ("172.31.255.255", true),
        ("192.168.7.1", true), ("169.254.1.1", true), ("172.32.0.1", false), ("172.15.0.1", false), ("192.169.0.1", false),
        ("11.0.0.1", false), ("8.8.8.8", false), ("100.64.0.1", false), ("::1", true), ("fd00::1", true), ("fe80::1", true),
        ("::ffff:10.0.0.1", true), ("::ffff:8.8.8.8", false), ("2001:db8::1", false), ("::2", false), ("fec0::1", false),
    ])
    func `is automatic for those beyond private networks`(address: String, isNear: Bool) throws {
        let peer = try SocketAddress(ipAddress: address, port: 7400)
        #expect(peer.isNear == isNear)
        #expect(LinkCompression.auto.applies(to: peer) == !isNear)
        #expect(LinkCompression.on.applies(to: peer) && !LinkCompression.off.applies(to: peer))
    }

    @Test func `is not automatic for a peer whose address nobody knows`() throws {
        #expect(!LinkCompression.auto.applies(to: nil))
        #expect(LinkCompression.on.applies(to: nil))
        #expect(!LinkCompression.auto.applies(to: try SocketAddress(unixDomainSocketPath: "/tmp/x")))
    }
}
