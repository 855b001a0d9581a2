import FoundationEssentials
package import LLMgineCore
import LLMgineNode
package import LLMgineTransport

extension NodeSettings {
    /// What the certificates say about a node with these settings.
    package struct Verified: Sendable {
        /// Who the node is.
        package let identity: NodeIdentity
        /// The roles that its certificate carries.
        package let roles: [String]
        /// When its certificate ends, as text.
        package let expires: String
        /// What looks wrong and nothing has to fail for, one sentence each.
        package let remarks: [String]

        package init(identity: NodeIdentity, roles: [String] = [], expires: String, remarks: [String]) {
            self.roles = roles
            self.identity = identity
            self.expires = expires
            self.remarks = remarks
        }
    }

    /// What the node itself may publish and subscribe to, for people.
    package func permissionsExplained(for verified: Verified) -> [String] {
        let roles = verified.roles.isEmpty ? "" : " (certified as \(verified.roles.joined(separator: ", ")))"
        let grant = PermissionTable(permissions).grant(for: verified.identity.node, roles: verified.roles)
        return (grant?.explanation ?? ["may publish and subscribe to everything: no rule is about it"]).map { "this node\(roles) \($0)" }
    }

    /// Checks what can be checked without a network: that settings and certificates fit together.
    /// - Throws: `invalidConfiguration` naming the key; `tlsFailure` or `identityRefused` naming the file.
    package func verify() throws(LLMgineError) -> Verified {
        guard !certificates.directory.isEmpty else {
            throw LLMgineError(
                .invalidConfiguration,
                "certificates.directory: is not set, and a node without certificates joins nobody; make some with llmgine certs")
        }
        guard limits.memoryBudget / 4 >= limits.maximumPayload else {
            throw LLMgineError(
                .invalidConfiguration,
                "limits.memoryBudget: is \(limits.memoryBudget) bytes, expected 4 times limits.maximumPayload or more")
        }
        let material = try TLSMaterial(loading: .directory(certificates.directory))
        let identity = material.identity
        if !node.name.isEmpty, node.name != identity.node.name {
            throw LLMgineError(
                .invalidConfiguration,
                "node.name: is \"\(node.name)\", but the certificate in \(certificates.directory) is that of \(identity)")
        }
        if !node.cluster.isEmpty, node.cluster != identity.cluster {
            throw LLMgineError(
                .invalidConfiguration,
                "node.cluster: is \"\(node.cluster)\", but the certificate in \(certificates.directory) is that of \(identity)")
        }
        var remarks = material.remarks
        if node.listen.isEmpty, node.seeds.isEmpty { remarks.append("node.listen and node.seeds are both empty: the node stays alone") }
        if node.roles.contains("worker"), worker.slots == 0 { remarks.append("the node has the role worker, but worker.slots is 0") }
        if store.logEvents, store.path.isEmpty { remarks.append("store.logEvents is set, but store.path is empty: nothing is logged") }
        remarks += PermissionTable(permissions).remarks
        return Verified(identity: identity, roles: material.roles, expires: material.expires.formatted(.iso8601), remarks: remarks)
    }
}
