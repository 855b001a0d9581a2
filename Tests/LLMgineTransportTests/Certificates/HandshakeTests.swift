import Foundation
import LLMgineCore
import LLMgineTransport
import NIOCore
import NIOSSL
import Testing
import X509

@Suite struct `Two nodes that meet over TLS` {
    let workshop: Workshop
    let authority: CertificateAuthority
    let a: TLSMaterial
    let b: TLSMaterial

    init() throws {
        workshop = try Workshop()
        authority = try CertificateAuthority(cluster: "demo", start: Date(timeIntervalSinceNow: -86_400))
        a = try workshop.material("a", by: authority)
        b = try workshop.material("b", by: authority)
    }

    /// `b` dials `a`.
    private func meet(_ a: TLSMaterial, _ b: TLSMaterial) async throws -> Encounter {
        try await .between(server: { try a.secureServer($0) }, client: { try b.secureClient($0) })
    }

    @Test func `of one cluster know each other by their certificates`() async throws {
        let seen = try await meet(a, b)
        #expect(seen.server == .admitted("llmgine://demo/b"))
        #expect(seen.client == .admitted("llmgine://demo/a"))
    }

    @Test func `under different authorities refuse each other`() async throws {
        let stranger = try workshop.material("b", by: CertificateAuthority(cluster: "demo"))
        let dialled = try await meet(a, stranger)
        // The client looks first: the server only learns that it was refused.
        #expect(dialled.client == .refused(.tlsFailure, "the peer's certificate comes from an unknown CA"))
        #expect(dialled.server == .refused(.tlsFailure, "the peer refused this node's certificate: unknown CA"))
    }

    @Test func `refuse a client under another authority even if it trusts them`() async throws {
        let other = try CertificateAuthority(cluster: "demo")
        try authority.save(to: workshop.path("trusted"))
        let own = workshop.path("stranger")
        try other.issue("b").save(to: own)
        let seen = try await Encounter.between(
            server: { [a] in try a.secureServer($0) },
            client: { [b, trusted = workshop.path("trusted/ca.pem")] channel in
                try Foreign(authority: trusted, certificate: own).secure(channel, gate: b)
            })
        #expect(seen.server == .refused(.tlsFailure, "the peer's certificate comes from an unknown CA"))
        #expect(seen.client == .refused(.tlsFailure, "the peer refused this node's certificate: unknown CA"))
    }

    @Test func `refuse an expired certificate, whoever dials`() async throws {
        let expired = try workshop.expiredMaterial("b", by: authority)
        let dialling = try await meet(a, expired)
        #expect(dialling.server == .refused(.tlsFailure, "the peer's certificate has expired"))
        #expect(dialling.client == .refused(.tlsFailure, "the peer refused this node's certificate: expired or not yet valid there"))
        let dialled = try await meet(expired, a)
        #expect(dialled.client == .refused(.tlsFailure, "the peer's certificate has expired"))
        #expect(dialled.server == .refused(.tlsFailure, "the peer refused this node's certificate: expired or not yet valid there"))
    }

    @Test func `refuse a client without a certificate`() async throws {
        try authority.save(to: workshop.path("trusted"))
        let seen = try await Encounter.between(
            server: { [a] in try a.secureServer($0) },
            client: { [b, trusted = workshop.path("trusted/ca.pem")] in try Foreign(authority: trusted).secure($0, gate: b) })
        #expect(seen.server == .refused(.tlsFailure, "the peer presented no certificate"))
        #expect(seen.client == .refused(.tlsFailure, "the peer refused this node: no certificate presented"))
    }

    @Test func `of different clusters under one authority refuse each other`() async throws {
        let stranger = try workshop.material("b", by: authority, cluster: "other")
        let seen = try await meet(a, stranger)
        #expect(seen.client == .refused(.identityRefused, "the peer is llmgine://demo/a: another cluster than other"))
        #expect(
            seen.server == .refused(.identityRefused, "the peer is llmgine://other/b: another cluster than demo")
                || seen.server.isEndOfConnection,
            "\(seen.server)")
    }

    @Test func `refuse a certificate of the right authority without an identity`() async throws {
        let nameless = workshop.path("nameless")
        try authority.issue(names: [.dnsName("b.example")], node: "b").save(to: nameless)
        try authority.save(to: workshop.path("trusted"))
        let seen = try await Encounter.between(
            server: { [a] in try a.secureServer($0) },
            client: { [b, trusted = workshop.path("trusted/ca.pem")] in
                try Foreign(authority: trusted, certificate: nameless).secure($0, gate: b)
            })
        #expect(seen.server == .refused(.identityRefused, "the certificate carries no llmgine://<cluster>/<node>"))
    }

    @Test func `refuse another protocol inside TLS`() async throws {
        let own = workshop.path("h2")
        try authority.issue("b").save(to: own)
        let seen = try await Encounter.between(
            server: { [a] in try a.secureServer($0) },
            client: { [b] in try Foreign(authority: "\(own)/ca.pem", certificate: own, protocols: ["h2"]).secure($0, gate: b) })
        #expect(seen.server == .refused(.tlsFailure, "the peer speaks another protocol inside TLS: none is not llmgine/1"))
    }

    @Test func `refuse TLS 1.2`() async throws {
        let own = workshop.path("old")
        try authority.issue("b").save(to: own)
        let seen = try await Encounter.between(
            server: { [a] in try a.secureServer($0) },
            client: { [b] in try Foreign(authority: "\(own)/ca.pem", certificate: own, newest: .tlsv12).secure($0, gate: b) })
        #expect(seen.server == .refused(.tlsFailure, "the peer does not speak TLS 1.3"))
    }

    @Test(arguments: [
        Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), Array("PUB documents.x.line 5\r\nhello\r\n".utf8),
        [UInt8](repeating: 0, count: 64),
        [UInt8](repeating: 0xFF, count: 64), Array("LLMG".utf8) + [UInt8](repeating: 7, count: 4000),
    ])
    func `refuse a client that speaks in the clear`(line: [UInt8]) async throws {
        let seen = try await Encounter.between(
            server: { [a] in try a.secureServer($0) },
            client: { try $0.pipeline.syncOperations.addHandler(PlainSpeaker(line)) })
        #expect(seen.server == .refused(.tlsFailure, "what the peer sent is not TLS at all"))
        #expect(seen.client == .closed)
    }

    @Test func `refuse a server that speaks in the clear`() async throws {
        let seen = try await Encounter.between(
            server: { try $0.pipeline.syncOperations.addHandler(PlainSpeaker(Array("220 mail.example ESMTP\r\n".utf8))) },
            client: { [b] in try b.secureClient($0) })
        #expect(seen.client == .refused(.tlsFailure, "what the peer sent is not TLS at all"))
    }

    @Test func `do not wait for a client that says nothing`() async throws {
        let seen = try await Encounter.between(
            server: { [a] in try a.secureServer($0, handshakeLimit: .milliseconds(20)) },
            client: { try $0.pipeline.syncOperations.addHandler(PlainSpeaker([])) })
        #expect(seen.server == .refused(.tlsFailure, "the TLS handshake took too long"))
        #expect(seen.client == .closed)
    }
}

extension Sighting {
    fileprivate var isEndOfConnection: Bool {
        switch self {
        case .closed, .refused(.connectionClosed, _): true
        default: false
        }
    }
}

/// A TLS client that is set up differently from a node.
struct Foreign {
    var authority: String
    /// A directory with `node.pem` and `node.key`, nil to show no certificate.
    var certificate: String?
    var protocols = [TLSMaterial.applicationProtocol]
    var newest: TLSVersion?

    func secure(_ channel: any Channel, gate: TLSMaterial) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(authority)
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = protocols
        configuration.maximumTLSVersion = newest
        if let certificate {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile("\(certificate)/node.pem").map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: "\(certificate)/node.key", format: .pem))
        }
        try channel.pipeline.syncOperations.addHandlers([
            try NIOSSLClientHandler(context: try NIOSSLContext(configuration: configuration), serverHostname: nil),
            PeerGate(material: gate, handshakeLimit: PeerGate.handshakeLimit),
        ])
    }
}
