package import LLMgineCore
package import NIOCore
package import NIOSSL
import SwiftASN1
import Synchronization
import X509

package import struct FoundationEssentials.Date

/// What a node shows to its peers and trusts in them, loaded and checked: the only way to a TLS handler in this package.
///
/// TLS 1.3 alone, a certificate from both sides, one trusted authority, no host names: BoringSSL checks the chain, the dates and the usage;
/// who the peer is, and whether it belongs to this cluster, is checked here.
package struct TLSMaterial: Sendable {
    /// What a link speaks inside TLS. A peer that offers another protocol is refused.
    package static let applicationProtocol = "llmgine/1"

    /// Who this node is, as its own certificate says.
    package let identity: NodeIdentity
    /// Tells what was loaded earlier in this process from what was loaded later.
    package let serial = TLSMaterial.serials.add(1, ordering: .relaxed).newValue
    /// The roles that its certificate carries.
    package let roles: [String]
    /// When this node's certificate ends to be of use: it, an intermediate or an authority that it was issued by ends then, whichever is first.
    package let expires: Date
    /// Whether it is an authority that ends then, so that a new certificate of the same authority would not help.
    package let endsWithAuthority: Bool
    /// What an operator should know and nothing has to fail for, one sentence each.
    package let remarks: [String]

    private static let serials = Atomic<UInt64>(0)

    let authorities: [Certificate]
    private let server: NIOSSLContext
    private let client: NIOSSLContext

    /// Loads and checks the files.
    /// - Throws: `tlsFailure` or `identityRefused`, naming the file and what is wrong with it.
    package init(loading source: CertificateSource, at now: Date = Date()) throws(LLMgineError) {
        let authorities = try PEM.certificates(try CertificateFile.read(source.authorityPath), from: source.authorityPath)
        let chain = try PEM.certificates(try CertificateFile.read(source.certificatePath), from: source.certificatePath)
        let key = try PEM.privateKey(try CertificateFile.read(source.keyPath), from: source.keyPath)
        guard let leaf = chain.first else { throw LLMgineError(.tlsFailure, "\(source.certificatePath): holds no certificate") }

        guard key.publicKey == leaf.publicKey else {
            throw LLMgineError(.tlsFailure, "\(source.keyPath): is not the key of \(source.certificatePath)")
        }
        for authority in authorities { try authority.check(at: now, path: source.authorityPath) }
        try leaf.check(at: now, path: source.certificatePath)
        guard let issued = leaf.chain(to: authorities, through: chain.dropFirst()) else {
            throw LLMgineError(.tlsFailure, "\(source.certificatePath): was not issued by \(source.authorityPath)")
        }
        do {
            self.identity = try NodeIdentity(of: leaf)
        } catch {
            throw LLMgineError(.identityRefused, "\(source.certificatePath): \(error.detail)")
        }
        self.roles = CertifiedRoles.roles(of: leaf, in: identity.cluster)
        var remarks: [String] = []
        if CertificateFile.isReadableByOthers(source.keyPath) {
            remarks.append("\(source.keyPath) is readable by others than its owner: chmod 600")
        }
        let ownEnd = issued.own.map(\.notValidAfter).min() ?? leaf.notValidAfter
        let authorityEnd = issued.authorities.map(\.notValidAfter).min() ?? ownEnd
        self.expires = min(ownEnd, authorityEnd)
        self.endsWithAuthority = authorityEnd <= ownEnd
        let daysLeft = Int((expires.timeIntervalSince(now) / 86_400).rounded(.down))
        if daysLeft < 30 {
            remarks.append("\(endsWithAuthority ? source.authorityPath : source.certificatePath) expires in \(daysLeft) days")
        }
        self.remarks = remarks
        self.authorities = authorities
        do {
            (server, client) = try TLSMaterial.contexts(authorities: authorities, chain: chain, key: key)
        } catch {
            throw LLMgineError(.tlsFailure, "\(source.certificatePath): TLS does not accept these certificates", cause: error)
        }
    }

    /// Configures an accepted connection: TLS, and behind it the gate that lets nothing pass before the peer is known.
    package func secureServer(_ channel: any Channel, handshakeLimit: TimeAmount = PeerGate.handshakeLimit) throws {
        try channel.pipeline.syncOperations.addHandlers([
            NIOSSLServerHandler(context: server), PeerGate(material: self, handshakeLimit: handshakeLimit),
        ])
    }

    /// Configures a dialled connection: TLS, and behind it the gate that lets nothing pass before the peer is known.
    package func secureClient(_ channel: any Channel, handshakeLimit: TimeAmount = PeerGate.handshakeLimit) throws {
        try channel.pipeline.syncOperations.addHandlers([
            try NIOSSLClientHandler(context: client, serverHostname: nil), PeerGate(material: self, handshakeLimit: handshakeLimit),
        ])
    }

    /// Who is at the other end, which roles its certificate carries and when it ends, asked on the channel's event loop once the handshake is complete.
    ///
    /// The dates are checked again here, because a resumed session skips the check of the certificate that it was made with.
    /// - Throws: `identityRefused` or `tlsFailure`; the connection must be closed then.
    package func peer(
        of handler: NIOSSLHandler, negotiated: String?, at now: Date = Date()
    ) throws(LLMgineError) -> (identity: NodeIdentity, roles: [String], expires: Date) {
        guard negotiated == TLSMaterial.applicationProtocol else {
            throw LLMgineError(
                .tlsFailure,
                "\(TLSFailure.otherProtocol): \(negotiated.map { "\"\($0.printable)\"" } ?? "none") is not \(TLSMaterial.applicationProtocol)"
            )
        }
        guard let certificate = handler.peerCertificate?.parsed else {
            throw LLMgineError(.tlsFailure, TLSFailure.noCertificate(.peer).description)
        }
        if let fault = certificate.fault(at: now) { throw LLMgineError(.tlsFailure, fault(.peer).description) }
        let peer = try NodeIdentity(of: certificate)
        guard peer.cluster == identity.cluster else {
            throw LLMgineError(.identityRefused, "the peer is \(peer): another cluster than \(identity.cluster)")
        }
        return (peer, CertifiedRoles.roles(of: certificate, in: identity.cluster), certificate.notValidAfter)
    }

    private static func contexts(
        authorities: [Certificate], chain: [Certificate], key: Certificate.PrivateKey
    ) throws -> (server: NIOSSLContext, client: NIOSSLContext) {
        let roots = NIOSSLTrustRoots.certificates(try authorities.map(NIOSSLCertificate.init(parsed:)))
        let shown = try chain.map { NIOSSLCertificateSource.certificate(try NIOSSLCertificate(parsed: $0)) }
        let key = NIOSSLPrivateKeySource.privateKey(
            try NIOSSLPrivateKey(bytes: Array(try key.serializeAsPEM().pemString.utf8), format: .pem))

        func strict(_ configuration: TLSConfiguration) -> TLSConfiguration {
            var configuration = configuration
            configuration.minimumTLSVersion = .tlsv13
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = roots
            configuration.applicationProtocols = [applicationProtocol]
            configuration.shutdownTimeout = .seconds(1)
            return configuration
        }
        let server = TLSConfiguration.makeServerConfigurationWithMTLS(certificateChain: shown, privateKey: key, trustRoots: roots)
        var client = TLSConfiguration.makeClientConfiguration()
        client.certificateChain = shown
        client.privateKey = key
        return (try NIOSSLContext(configuration: strict(server)), try NIOSSLContext(configuration: strict(client)))
    }
}

extension NIOSSLCertificate {
    convenience init(parsed certificate: Certificate) throws {
        try self.init(bytes: Array(certificate.serializeAsPEM().derBytes), format: .der)
    }

    /// The certificate in a form that can be read, nil if it cannot.
    var parsed: Certificate? {
        guard let bytes = try? toDERBytes() else { return nil }
        return try? Certificate(derEncoded: bytes)
    }
}
