import LLMgineCore
import X509

/// The roles that a certificate carries, as URIs of their own: `llmgine-role://<cluster>/<role>`.
///
/// A node may say of itself what it likes in its HELLO; what a permission hangs on must be signed by the authority.
enum CertifiedRoles {
    private static let scheme = "llmgine-role://"

    static func uri(cluster: String, role: String) -> String { "\(scheme)\(cluster)/\(role)" }

    /// Those for the cluster, at most 16; what is no role of it is nobody's business here.
    static func roles(of certificate: Certificate, in cluster: String) -> [String] {
        let prefix = uri(cluster: cluster, role: "")
        var roles: [String] = []
        for case .uniformResourceIdentifier(let uri) in (try? certificate.extensions.subjectAlternativeNames) ?? SubjectAlternativeNames()
        where uri.hasPrefix(prefix) && roles.count < 16 {
            let role = String(uri.dropFirst(prefix.count))
            if NodeID.isValid(role) { roles.append(role) }
        }
        return roles
    }
}
