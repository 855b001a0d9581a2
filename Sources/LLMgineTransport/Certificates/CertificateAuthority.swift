import Crypto
import Glibc
public import LLMgineCore
import SwiftASN1
package import X509

public import struct FoundationEssentials.Date

/// The authority of one cluster: what it signed belongs to the cluster, and nothing else does.
///
/// ```swift
/// let authority = try CertificateAuthority(cluster: "demo")
/// try authority.save(to: "certs")                                   // ca.pem, ca.key
/// try authority.issue("a").save(to: "certs/a")                      // ca.pem, node.pem, node.key
/// ```
/// Keys are ECDSA P-256. The key of the authority is needed to issue certificates only; no node needs it.
public struct CertificateAuthority: Sendable {
    /// The cluster whose nodes this authority vouches for.
    public let cluster: String

    /// When it ends, and with it all that it issued.
    public var expires: Date { certificate.notValidAfter }

    let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Creates a new authority.
    /// - Parameters:
    ///   - cluster: the name of the cluster; the same rules as for a node's name.
    ///   - lifetime: how long it is valid, by default 10 years.
    ///   - start: from when on it is valid, by default ``defaultStart``.
    /// - Throws: `invalidArgument` for a name that breaks the rules.
    public init(
        cluster: String, lifetime: Duration = .seconds(3650 * 86_400), start: Date = CertificateAuthority.defaultStart
    ) throws(LLMgineError) {
        _ = try NodeIdentity(cluster: cluster, node: "ca")  // the rule for the name
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        do {
            let name = try CertificateAuthority.distinguishedName(cluster)
            self.certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
                notValidBefore: start, notValidAfter: start.addingTimeInterval(lifetime / .seconds(1)),
                issuer: name, subject: name,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                },
                issuerPrivateKey: key)
        } catch {
            throw LLMgineError(.tlsFailure, "the authority's certificate could not be made", cause: error)
        }
        self.cluster = cluster
        self.key = key
    }

    /// When a new certificate begins if nothing else is said: five minutes ago, so that a node whose clock runs behind accepts it at once.
    public static var defaultStart: Date { Date().addingTimeInterval(-300) }

    /// Loads an authority from a directory that ``save(to:force:)`` wrote.
    /// - Throws: `tlsFailure` naming the file and the reason.
    public init(loading directory: String) throws(LLMgineError) {
        let certificatePath = "\(directory)/\(CertificateFile.authority)"
        let keyPath = "\(directory)/\(CertificateFile.authorityKey)"
        let certificate = try PEM.certificate(try CertificateFile.read(certificatePath), from: certificatePath)
        let key = try PEM.privateKey(try CertificateFile.read(keyPath), from: keyPath)
        guard key.publicKey == certificate.publicKey else {
            throw LLMgineError(.tlsFailure, "\(keyPath): is not the key of \(certificatePath)")
        }
        guard case .isCertificateAuthority = (try? certificate.extensions.basicConstraints) ?? .notCertificateAuthority else {
            throw LLMgineError(.tlsFailure, "\(certificatePath): is not an authority's certificate")
        }
        guard let cluster = CertificateAuthority.cluster(of: certificate) else {
            throw LLMgineError(.tlsFailure, "\(certificatePath): names no cluster; it was not made by llmgine certs init")
        }
        self.cluster = cluster
        self.certificate = certificate
        self.key = key
    }

    /// Writes `ca.pem` and `ca.key` (mode 0600) into a directory, which is created if need be.
    /// - Throws: `invalidArgument` if one of them exists and `force` is false; `tlsFailure` if they cannot be written.
    public func save(to directory: String, force: Bool = false) throws(LLMgineError) {
        try CertificateFile.createDirectory(directory)
        try CertificateFile.write(
            [
                ("\(directory)/\(CertificateFile.authorityKey)", try PEM.text(key), .ownerOnly),
                ("\(directory)/\(CertificateFile.authority)", try PEM.text(certificate), .everyone),
            ], force: force)
    }

    /// Issues a certificate for one node, good for both ends of a link.
    /// - Parameters:
    ///   - node: the node's name in the cluster.
    ///   - hosts: DNS names and IP addresses under which other software may reach the node; `localhost` is always among them. Nodes
    ///     do not look at these: they know each other by the URI `llmgine://<cluster>/<node>`.
    ///   - roles: what topic permissions may know the node by.
    ///   - cluster: another cluster than the authority's own, for an authority that serves several.
    ///   - lifetime: how long it is valid, by default one year; at most as long as the authority is.
    ///   - start: from when on it is valid, by default ``defaultStart``.
    /// - Throws: `invalidArgument` for names that break the rules; `tlsFailure` if the authority has ended.
    public func issue(
        _ node: NodeID, hosts: [String] = [], roles: [String] = [], cluster: String? = nil, lifetime: Duration = .seconds(365 * 86_400),
        start: Date = CertificateAuthority.defaultStart
    ) throws(LLMgineError) -> IssuedCertificate {
        let identity = try NodeIdentity(cluster: cluster ?? self.cluster, node: node)
        if let odd = roles.first(where: { !NodeID.isValid($0) }) {
            throw LLMgineError(.invalidArgument, "\"\(odd.printable)\" cannot name a role: use 1 to 63 of a-z A-Z 0-9 - _ .")
        }
        guard max(start, Date()) < expires else {
            throw LLMgineError(
                .tlsFailure, "the authority of \(self.cluster) ended on \(expires.formatted(.iso8601)) and issues nothing any more")
        }
        let names = [identity.uri] + roles.map { CertifiedRoles.uri(cluster: identity.cluster, role: $0) }
        return try issue(
            names.map(GeneralName.uniformResourceIdentifier), node: node, hosts: hosts, from: start,
            until: min(start.addingTimeInterval(lifetime / .seconds(1)), expires))
    }

    /// Issues a certificate with any alternative names and any end: what a test needs to show that odd ones are refused.
    package func issue(
        names: [GeneralName], node: NodeID, lifetime: Duration = .seconds(86_400), start: Date = CertificateAuthority.defaultStart
    ) throws(LLMgineError) -> IssuedCertificate {
        try issue(names, node: node, hosts: [], from: start, until: start.addingTimeInterval(lifetime / .seconds(1)))
    }

    private func issue(
        _ names: [GeneralName], node: NodeID, hosts: [String], from start: Date, until end: Date
    ) throws(LLMgineError) -> IssuedCertificate {
        var all = names
        for host in ["localhost"] + hosts where host != "localhost" || !all.contains(.dnsName("localhost")) {
            all.append(try CertificateAuthority.generalName(host))
        }
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        do {
            let issued = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
                notValidBefore: start, notValidAfter: end,
                issuer: certificate.subject, subject: try CertificateAuthority.distinguishedName(node.name),
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth, .clientAuth])
                    SubjectAlternativeNames(all)
                    SubjectKeyIdentifier(hash: key.publicKey)
                    AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: self.key.publicKey).keyIdentifier)
                },
                issuerPrivateKey: self.key)
            return IssuedCertificate(node: node, certificate: issued, key: key, authority: certificate)
        } catch {
            throw LLMgineError(.tlsFailure, "the certificate of \(node) could not be made", cause: error)
        }
    }

    private static let organization = "llmgine"

    private static func distinguishedName(_ commonName: String) throws -> DistinguishedName {
        try DistinguishedName {
            OrganizationName(organization)
            CommonName(commonName)
        }
    }

    /// The cluster stands in the authority's common name.
    private static func cluster(of certificate: Certificate) -> String? {
        for relative in certificate.subject {
            for attribute in relative where attribute.type == .RDNAttributeType.commonName {
                guard let name = String(attribute.value), NodeID.isValid(name) else { return nil }
                return name
            }
        }
        return nil
    }

    private static func generalName(_ host: String) throws(LLMgineError) -> GeneralName {
        if let address = packedAddress(host) { return .ipAddress(ASN1OctetString(contentBytes: address[...])) }
        let allowed = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "*"): true
            default: false
            }
        }
        guard allowed, (1...253).contains(host.utf8.count) else {
            throw LLMgineError(.invalidArgument, "\"\(host.printable)\" is neither a host name nor an IP address")
        }
        return .dnsName(host)
    }

    /// The bytes of an IP address in network order, nil if the text is none.
    private static func packedAddress(_ host: String) -> [UInt8]? {
        var v4 = in_addr()
        // Both calls read the text up to its end and write no more than the struct behind the pointer.
        if unsafe inet_pton(AF_INET, host, &v4) == 1 { return unsafe withUnsafeBytes(of: v4) { unsafe Array($0) } }
        var v6 = in6_addr()
        if unsafe inet_pton(AF_INET6, host, &v6) == 1 { return unsafe withUnsafeBytes(of: v6) { unsafe Array($0) } }
        return nil
    }
}
