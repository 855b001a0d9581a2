import X509

public import struct FoundationEssentials.Date
public import struct LLMgineCore.LLMgineError
public import struct LLMgineCore.NodeID

/// What an authority hands to one node: its certificate, its private key, and the authority to trust.
public struct IssuedCertificate: Sendable {
    /// The node it is for.
    public let node: NodeID

    /// When it ends.
    public var expires: Date { certificate.notValidAfter }

    let certificate: Certificate
    let key: Certificate.PrivateKey
    let authority: Certificate

    /// Writes `ca.pem`, `node.pem` and `node.key` (mode 0600) into a directory, which is created if need be. A node is then configured
    /// with ``CertificateSource/directory(_:)``.
    /// - Throws: `invalidArgument` if one of them exists and `force` is false; `tlsFailure` if they cannot be written.
    public func save(to directory: String, force: Bool = false) throws(LLMgineError) {
        try CertificateFile.createDirectory(directory)
        try CertificateFile.write(
            [
                ("\(directory)/\(CertificateFile.nodeKey)", try PEM.text(key), .ownerOnly),
                ("\(directory)/\(CertificateFile.node)", try PEM.text(certificate), .everyone),
                ("\(directory)/\(CertificateFile.authority)", try PEM.text(authority), .everyone),
            ], force: force)
    }
}
