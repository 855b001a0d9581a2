public import LLMgineCore
public import LLMgineNode
public import LLMgineObservability
public import LLMgineTransport
import Logging

import class Foundation.FileManager
import struct Foundation.UUID

/// Real nodes in this process, joined over TLS on loopback, with certificates of their own in a temporary directory.
public final class TestCluster: Sendable {
    /// The name of the cluster.
    public let name: String
    /// Where the certificates are: a directory a node.
    public let directory: String
    private let authority: CertificateAuthority

    /// Creates a certificate authority and nothing else yet.
    public init(name: String = "test") throws {
        self.name = name
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("llmgine-\(UUID().uuidString)").path
        authority = try CertificateAuthority(cluster: name)
    }

    /// Starts one node that listens on a free port.
    public func node(
        _ node: NodeID, seeds: [String] = [], roles: [String] = [], kind: NodeConfiguration.Kind = .core, listen: String = "127.0.0.1:0",
        observability: ObservabilityManager? = nil, eventLoops: Int = 1
    ) async throws -> Node {
        let logger = Logger(label: "llmgine.test") { _ in SwiftLogNoOpLogHandler() }
        return try await Node(
            configuration: try configuration(node, seeds: seeds, roles: roles, kind: kind, listen: listen, eventLoops: eventLoops),
            observability: observability, logger: logger)
    }

    /// What such a node is made with.
    public func configuration(
        _ node: NodeID, seeds: [String] = [], roles: [String] = [], kind: NodeConfiguration.Kind = .core, listen: String = "127.0.0.1:0",
        eventLoops: Int = 1
    ) throws -> NodeConfiguration {
        NodeConfiguration(
            name: node, cluster: name, kind: kind, listen: listen, seeds: seeds, certificates: try certificates(for: node), roles: roles,
            joinTimeout: .seconds(10), eventLoops: eventLoops)
    }

    /// A certificate of the cluster for the node, the same each time.
    /// - Parameter roles: what topic permissions may know it by.
    public func certificates(for node: NodeID, roles: [String] = []) throws -> CertificateSource {
        let place = "\(directory)/\(node)"
        if !FileManager.default.fileExists(atPath: place) { try authority.issue(node, roles: roles).save(to: place) }
        return .directory(place)
    }

    /// Writes new certificates over those of a node, as an operator would.
    /// - Parameter lifetime: from now on.
    public func renewCertificates(for node: NodeID, lifetime: Duration = .seconds(86_400)) throws {
        try authority.issue(node, lifetime: lifetime + .seconds(300)).save(to: "\(directory)/\(node)", force: true)
    }

    /// Starts nodes of these names, each knowing the first, and returns once each is linked with all.
    public func mesh(_ names: [NodeID]) async throws -> [Node] {
        var nodes: [Node] = []
        for name in names {
            let seeds = nodes.first?.listeningAddress.map { [$0] } ?? []
            nodes.append(try await node(name, seeds: seeds))
        }
        for node in nodes { try await node.linked(to: nodes.count - 1) }
        return nodes
    }

    /// Deletes the certificates.
    public func remove() { try? FileManager.default.removeItem(atPath: directory) }
}

extension Node {
    /// Waits until the node has links to so many others. - Throws: `deadlineExceeded` after 20 s.
    public func linked(to count: Int) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while peers.count < count {
            guard ContinuousClock.now < end else {
                throw LLMgineError(.deadlineExceeded, "\(configuration.name) is linked to \(peers), wanted \(count)")
            }
            await Task.yield()
        }
    }
}
