import FoundationEssentials
import LLMgineBus
package import LLMgineCore
package import LLMgineLLM
import LLMgineNode
import LLMgineOTLPExporter
package import LLMgineTransport

extension NodeSettings {
    /// What the certificates say about a node with these settings.
    package struct Verified: Sendable {
        /// Who the node is.
        package let identity: NodeIdentity
        /// The roles that its certificate carries.
        package let roles: [String]
        /// When its certificate or the authority behind it ends, whichever is first, as text.
        package let expires: String
        /// What looks wrong and nothing has to fail for, one sentence each.
        package let remarks: [String]
        /// What the node offers as a worker, by its settings; empty for no worker, or for one whose application brings its own.
        package let providers: [any LLMProvider]

        package init(
            identity: NodeIdentity, roles: [String] = [], expires: String, remarks: [String], providers: [any LLMProvider] = []
        ) {
            self.providers = providers
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

    /// Checks what can be checked without a network: that settings, environment, disk and certificates fit together.
    /// - Parameters:
    ///   - environment: where OpenTelemetry's and the providers' variables are looked up; nil for that of the process.
    ///   - hasOwnProviders: whether the application brings what a worker offers, so that what the settings name does not count.
    /// - Throws: `invalidConfiguration` naming the key; `tlsFailure` or `identityRefused` naming the file.
    package func verify(environment: [String: String]? = nil, hasOwnProviders: Bool = false) throws(LLMgineError) -> Verified {
        let environment = environment ?? ProcessInfo.processInfo.environment
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
        try verifyPlaces()
        let offer = isWorker && !hasOwnProviders ? try providers(environment: environment) : []
        let telemetryWarnings = try telemetryConfiguration(environment: environment).warnings
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
        var remarks = material.remarks + telemetryWarnings
        if node.listen.isEmpty, node.seeds.isEmpty { remarks.append("node.listen and node.seeds are both empty: the node stays alone") }
        if node.roles.contains("worker"), worker.slots == 0 { remarks.append("the node has the role worker, but worker.slots is 0") }
        if store.logEvents, store.path.isEmpty { remarks.append("store.logEvents is set, but store.path is empty: nothing is logged") }
        remarks += PermissionTable(permissions).remarks
        return Verified(
            identity: identity, roles: material.roles, expires: material.expires.formatted(.iso8601), remarks: remarks, providers: offer)
    }

    /// Checks what must be on the disk before the node starts. - Throws: `invalidConfiguration` naming the key.
    private func verifyPlaces() throws(LLMgineError) {
        if !store.path.isEmpty {
            try verifyParent(of: store.path, key: "store.path")
            guard !isDirectory(store.path) else {
                throw LLMgineError(.invalidConfiguration, "store.path: \(store.path.printable) is a directory, expected a file")
            }
        }
        if !journal.path.isEmpty {
            try verifyParent(of: journal.path, key: "journal.path")
            guard isDirectory(journal.path) || !FileManager.default.fileExists(atPath: journal.path) else {
                throw LLMgineError(.invalidConfiguration, "journal.path: \(journal.path.printable) is a file, expected a directory")
            }
        }
        guard !limits.spillDirectory.isEmpty else { return }
        do throws(LLMgineError) { try SpillFile.check(limits.spillDirectory) } catch {
            throw LLMgineError(.invalidConfiguration, "limits.spillDirectory: \(error.detail)")
        }
    }

    /// The store and the journal make what they need, but not the directory around it: a mistyped path is more likely than a wanted one.
    private func verifyParent(of path: String, key: String) throws(LLMgineError) {
        var parent = path[...]
        while parent.count > 1, parent.last == "/" { parent.removeLast() }
        while let last = parent.last, last != "/" { parent.removeLast() }
        let directory = parent.isEmpty ? "." : String(parent)
        guard isDirectory(directory) else {
            throw LLMgineError(.invalidConfiguration, "\(key): the directory \(directory.printable) does not exist")
        }
    }

    private func isDirectory(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path + "/.") }
}
