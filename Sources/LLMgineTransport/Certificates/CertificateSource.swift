/// Where a node finds the certificates it shows and the authority it trusts. All files are PEM.
public enum CertificateSource: Sendable, Hashable {
    /// A directory for one node, as `llmgine certs issue` writes it: `ca.pem`, `node.pem` and `node.key`.
    case directory(String)
    /// Three files by path. `certificate` may hold intermediates after the node's own certificate, `authority` several roots.
    case files(authority: String, certificate: String, key: String)

    /// The path of the file with the trusted authorities.
    package var authorityPath: String {
        switch self {
        case .directory(let path): "\(path)/\(CertificateFile.authority)"
        case .files(let authority, _, _): authority
        }
    }

    /// The path of the file with the node's certificate.
    package var certificatePath: String {
        switch self {
        case .directory(let path): "\(path)/\(CertificateFile.node)"
        case .files(_, let certificate, _): certificate
        }
    }

    /// The path of the file with the node's private key.
    package var keyPath: String {
        switch self {
        case .directory(let path): "\(path)/\(CertificateFile.nodeKey)"
        case .files(_, _, let key): key
        }
    }
}
