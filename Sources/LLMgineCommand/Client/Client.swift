import LLMgine
import Logging

/// A short-lived member: it joins through one node, does its work and leaves.
struct Client {
    let node: Node
    /// The node that relays for it.
    let hub: NodeID

    /// Joins, does the work, and leaves whatever came of it.
    /// - Throws: what the work throws; `connectionClosed`, `tlsFailure`, `identityRefused` or `deadlineExceeded` if no node lets it in.
    static func with<Result: Sendable>(_ options: ClientOptions, _ work: (Client) async throws -> Result) async throws -> Result {
        let client = try await Client(options)
        do {
            let result = try await work(client)
            try await client.leave()
            return result
        } catch {
            await client.node.stop(deadline: .zero)
            throw error
        }
    }

    /// Leaves, as soon as all that was published has gone out. A second call does no more and ends as the first did.
    /// - Throws: `deadlineExceeded` if that takes more than 10 s.
    func leave() async throws(LLMgineError) {
        let left = await node.stop(deadline: .seconds(10))
        guard left.isEmpty else {
            throw LLMgineError(.deadlineExceeded, "\(left.values.reduce(0, +)) messages did not get through to \(hub) in time")
        }
    }

    private init(_ options: ClientOptions) async throws(LLMgineError) {
        let seeds = options.addresses
        for seed in seeds { _ = try HostPort(seed) }
        let source = CertificateSource.directory(options.certificates)
        let identity = try TLSMaterial(loading: source).identity
        let log = NodeSettings.Log(level: options.verbose ? .debug : .critical)
        node = try await Node(
            configuration: NodeConfiguration(
                name: identity.node, cluster: identity.cluster, kind: .leaf, seeds: seeds, certificates: source,
                joinTimeout: options.patience.duration,
                eventLoops: 1),
            logger: Logger(label: "llmgine", factory: { NodeLogHandler(label: $0, settings: log) }))
        guard let hub = node.peers.first else {
            let refusal = node.refusal
            await node.stop(deadline: .zero)
            throw refusal ?? LLMgineError(.deadlineExceeded, "no node answered at \(seeds.joined(separator: ", ")) in time")
        }
        self.hub = hub
    }
}
