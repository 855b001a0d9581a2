package import struct LLMgineCore.NodeID
package import struct LLMgineMembership.DialBook
package import struct LLMgineMembership.MemberRecord
package import struct LLMgineMembership.MemberTable
import struct LLMgineRouting.InterestLog
import struct LLMgineRouting.PeerInterest

/// The brain of one node: which links it keeps, what it tells its peers and what it knows of them.
///
/// A machine without a clock, a socket or a random source. The shell reports what happened and does what the actions say, in their order and,
/// for each link, on the wire in their order. It holds one lock around the machine and acts outside of it.
package struct BrokerMachine: Sendable {
    package struct Configuration: Sendable {
        /// This node's record at its start: state `joining`, counter 1.
        package var own: MemberRecord
        package var kind: PeerInfo.Kind
        /// `host:port` of nodes to find the cluster by, dialled for ever.
        package var seeds: [String]
        /// How often one random peer is told of all members. Default 5 s.
        package var gossipInterval: Duration
        /// Subscriptions that this node and each of its peers may have.
        package var maximumInterest: Int
        package var members: MemberTable.Limits
        /// Leaves that this node serves at a time; a further one is refused. Default 1000.
        package var maximumLeaves: Int

        package init(
            own: MemberRecord, kind: PeerInfo.Kind = .core, seeds: [String] = [], gossipInterval: Duration = .seconds(5),
            maximumInterest: Int = InterestLog.maximumEntries, members: MemberTable.Limits = .init(), maximumLeaves: Int = 1000
        ) {
            self.own = own
            self.kind = kind
            self.seeds = seeds
            self.gossipInterval = gossipInterval
            self.maximumInterest = maximumInterest
            self.members = members
            self.maximumLeaves = maximumLeaves
        }
    }

    struct Peer: Sendable {
        let info: PeerInfo
        let since: Duration
        var interest: PeerInterest
        /// The version of our log that the updates sent so far lead to.
        var told: UInt64 = 0
        /// The version of our log that it acknowledged.
        var acknowledged: UInt64 = 0
        /// When it was last told of our interest because it had asked; nil if it has not.
        var answered: Duration?
        /// From which version on it is to be told later, because it asked again so soon; nil if it did not.
        var owed: UInt64?
        /// Whether a resync was asked for and has not come.
        var awaitsResync = false
        var isDraining = false
        var roundTrip: Duration?
        /// Of a leaf: a second hub, which takes over when the first is gone. Until then nothing goes over the link.
        var isStandby = false

        var isLeaf: Bool { info.kind == .leaf }
    }

    /// Someone who waits until the peers of a moment know a version of our log.
    struct Waiter: Sendable {
        let id: UInt64
        let version: UInt64
        var links: Set<LinkID>
    }

    package let configuration: Configuration
    package internal(set) var members: MemberTable
    var log = InterestLog()
    var book: DialBook
    var peers: [LinkID: Peer] = [:]
    /// The links to core nodes.
    var links: [NodeID: LinkID] = [:]
    var leaves: [LeafID: LinkID] = [:]
    var waiters: [Waiter] = []
    var localFlows: Set<UInt32> = []
    var isFlushScheduled = false
    var nextGossip: Duration?
    var isLeaving = false
    /// When a node that leaves is done at the latest.
    var leavesUntil = Duration.zero

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        members = MemberTable(own: configuration.own, limits: configuration.members)
        book = DialBook(seeds: configuration.seeds, ownAddress: configuration.own.address)
    }

    package var node: NodeID { configuration.own.node }
    package var isLeaf: Bool { configuration.kind == .leaf }

    /// The links to core nodes in the order of their making: where our interest and our gossip go.
    var coreLinks: [LinkID] { peers.filter { !$0.value.isLeaf && !$0.value.isStandby }.keys.sorted() }
}
