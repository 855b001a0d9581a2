import LLMgineBroker
public import LLMgineBus
public import LLMgineCore
import LLMgineMembership
import LLMgineTransport
import LLMgineWire
import Logging
import NIOCore
import Synchronization

/// What a node knows of itself and of its cluster at one moment.
public struct NodeStatus: Sendable, Hashable, Codable {
    /// The node that tells.
    public var node: NodeID
    /// Its cluster.
    public var cluster: String
    /// The version of its software.
    public var version: String
    /// Every member that it knows, itself first. Asked for over a link, a node that knows too many for one reply tells of those with a link.
    public var members: [Member]
    /// Its subscriptions. Asked for over a link, a node with very many tells of those with the most queued, lost or handled.
    public var subscriptions: [SubscriptionStatus]
    /// Its links, by peer. Asked for over a link, a node with too many for one reply tells of those on which something waits.
    public var links: [Link]
    /// The memory that it lends to its peers.
    public var memory: Memory
    /// Subscriptions of peers that it does not serve, because no topic that they match is allowed to them; nil from an older node.
    public var refused: [RefusedSubscription]?
    /// Its journal; nil without one, and from an older node.
    public var journal: JournalLoad?
    /// What all its subscriptions come to; nil from an older node.
    public var totals: Totals?
    /// What was left out because there is too much of it for one reply; nil if it is all here.
    public var omitted: Omitted?

    /// One member of the cluster.
    public struct Member: Sendable, Hashable, Codable {
        /// The member.
        public var node: NodeID
        /// `self`, `linked`, `suspect` (linked, but silent for 1.5 s), `leaving`, `left`, `unreachable`, `leaf`.
        public var state: String
        /// Where it can be reached.
        public var address: String
        /// What it is good for.
        public var roles: [String]
        /// The last round trip of a ping, in microseconds.
        public var roundTripMicroseconds: Int64?
        /// How many subscriptions and responders it has told this node of.
        public var interests: Int
    }

    /// A subscription of a peer that is not served.
    public struct RefusedSubscription: Sendable, Hashable, Codable {
        /// The peer.
        public var peer: NodeID
        /// What it wants.
        public var filters: [String]
        /// How many filters were left out; nil if none.
        public var moreFilters: Int?
    }

    /// One subscription of the node.
    public struct SubscriptionStatus: Sendable, Hashable, Codable {
        /// Its name.
        public var name: String
        /// Its filters.
        public var filters: [String]
        /// How many filters were left out; nil if none.
        public var moreFilters: Int?
        /// Events that wait.
        public var queued: UInt64
        /// Handler calls that returned.
        public var processed: UInt64
        /// Events that were lost or refused for want of room.
        public var lost: UInt64
    }
}

extension Node {
    /// Asks the node for its status.
    public func status() async -> NodeStatus {
        let links = state.withLock { $0.links }
        let nodes = try? await control.submit { self.machine.value.nodes }.get()
        let own = NodeStatus.Member(
            node: configuration.name, state: "self", address: listeningAddress ?? "", roles: configuration.roles,
            roundTripMicroseconds: nil, interests: 0)
        let others = (nodes ?? []).filter { $0.node != configuration.name }.map { status in
            let connection = status.link.flatMap { links[$0]?.connection }
            return NodeStatus.Member(
                node: status.node, state: Node.describe(status, isSuspect: connection?.isSuspect ?? false),
                address: status.record?.address ?? "", roles: status.record?.roles ?? [],
                roundTripMicroseconds: connection?.roundTrip.map { $0.microseconds },
                interests: status.interestEntries)
        }
        let subscriptions = bus.subscriptionStatus().map { name, filters, statistics in
            NodeStatus.SubscriptionStatus(
                name: name, filters: filters, queued: statistics.queued, processed: statistics.processed,
                // Not `missed`, which also tells of what was evicted here.
                lost: statistics.evicted &+ statistics.rejected &+ statistics.droppedBySender)
        }
        return NodeStatus(
            node: configuration.name, cluster: configuration.cluster, version: LLMgineVersion.text, members: [own] + others,
            subscriptions: subscriptions, links: linkStatus, memory: memoryStatus,
            refused: links.values.sorted { $0.peer < $1.peer }.flatMap { link in
                link.refused.map { NodeStatus.RefusedSubscription(peer: link.peer, filters: $0.map(\.text)) }
            }, journal: bus.journal?.load, totals: NodeStatus.Totals(of: subscriptions))
    }

    private static func describe(_ status: LLMgineBroker.NodeStatus, isSuspect: Bool) -> String {
        if status.isLeaf { return "leaf" }
        if status.isDraining { return "leaving" }
        if status.link != nil { return isSuspect ? "suspect" : "linked" }
        return status.record?.state == .left ? "left" : "unreachable"
    }

    /// Where a node answers for its status: what `llmgine nodes` asks.
    package static func statusTopic(_ node: NodeID) throws(LLMgineError) -> Topic { try Topic("llmgine.status.\(node.name)") }

    func respondToAdministration() async throws(LLMgineError) {
        guard configuration.kind == .core else { return }
        do throws(LLMgineError) {
            try await respondForStatus()
            try await respondForDeadLetters()
        } catch {
            // A node that may not be asked is a node all the same.
            guard error.code == .permissionDenied else { throw error }
            logger.notice("not open to administration", metadata: ["reason": "\(error.detail)"])
        }
    }

    private func respondForStatus() async throws(LLMgineError) {
        let topic = try Node.statusTopic(configuration.name)
        try await bus.respond(to: TopicFilter(topic), options: ResponderOptions(name: "status")) { [weak self] _, _ in
            guard let self else { throw LLMgineError(.stopped, "the node has stopped") }
            // Whoever asks may be configured to take less than this node, but hardly less than by default.
            let maximumBytes = min(configuration.maximumPayload, WireLimits.defaultPayload)
            return ByteBuffer(bytes: try await status().encoded(within: maximumBytes))
        }
    }
}

extension Duration {
    fileprivate var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
    }
}
