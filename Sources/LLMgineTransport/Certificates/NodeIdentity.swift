public import LLMgineCore
package import X509

/// Who a node is: the cluster it belongs to and its name there, as its certificate says in one URI, `llmgine://<cluster>/<node>`.
///
/// The comparison is exact. Nothing else of a certificate names a node: neither its subject nor its DNS names.
public struct NodeIdentity: Sendable, Hashable {
    /// The name of the cluster; the same rules as for a node's name.
    public let cluster: String
    /// The name of the node.
    public let node: NodeID

    /// Puts an identity together. - Throws: `invalidArgument` if the cluster's name breaks the rules of ``NodeID``.
    public init(cluster: String, node: NodeID) throws(LLMgineError) {
        guard NodeID.isValid(cluster) else {
            throw LLMgineError(
                .invalidArgument, "cluster name \"\(cluster.printable)\": use 1 to 63 of a-z A-Z 0-9 - _ . and start with a letter or digit"
            )
        }
        self.cluster = cluster
        self.node = node
    }

    /// The identity as it stands in a certificate.
    public var uri: String { "\(NodeIdentity.scheme)\(cluster)/\(node.name)" }

    static let scheme = "llmgine://"
}

extension NodeIdentity: CustomStringConvertible {
    /// The URI.
    public var description: String { uri }
}

extension NodeIdentity {
    /// Reads a URI. - Throws: `identityRefused` unless it is exactly `llmgine://<cluster>/<node>`.
    package init(uri: String) throws(LLMgineError) {
        let refusal = LLMgineError(.identityRefused, "\"\(uri.printable)\" is not llmgine://<cluster>/<node>")
        guard uri.hasPrefix(NodeIdentity.scheme) else { throw refusal }
        let parts = uri.dropFirst(NodeIdentity.scheme.count).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let cluster = parts.first, let name = parts.last, NodeID.isValid(cluster), NodeID.isValid(name) else {
            throw refusal
        }
        self.cluster = cluster
        self.node = try NodeID(name)
    }

    /// Reads the identity that a certificate carries.
    /// - Throws: `identityRefused` if it carries none or more than one: a certificate that names two nodes could speak as either.
    package init(of certificate: Certificate) throws(LLMgineError) {
        let names: SubjectAlternativeNames?
        do {
            names = try certificate.extensions.subjectAlternativeNames
        } catch {
            throw LLMgineError(.identityRefused, "the certificate's alternative names cannot be read", cause: error)
        }
        var uris: [String] = []
        for case .uniformResourceIdentifier(let uri) in names ?? SubjectAlternativeNames() where uri.hasPrefix(NodeIdentity.scheme) {
            uris.append(uri)
        }
        guard let uri = uris.first else { throw LLMgineError(.identityRefused, "the certificate carries no llmgine://<cluster>/<node>") }
        guard uris.count == 1 else { throw LLMgineError(.identityRefused, "the certificate carries \(uris.count) identities, not one") }
        try self.init(uri: uri)
    }
}
