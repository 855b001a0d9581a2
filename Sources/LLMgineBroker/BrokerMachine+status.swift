package import struct LLMgineCore.NodeID
package import struct LLMgineMembership.MemberRecord
import struct LLMgineRouting.InterestLog
import struct LLMgineRouting.PeerInterest

/// One line of what `llmgine nodes` shows.
package struct NodeStatus: Sendable, Hashable {
    package let node: NodeID
    /// What the node says of itself; nil for a leaf, which says nothing.
    package let record: MemberRecord?
    /// The link to it, if there is one.
    package let link: LinkID?
    package let isLeaf: Bool
    package let isDraining: Bool
    /// Whether we dialled the link.
    package let isDialedByUs: Bool
    package let roundTrip: Duration?
    /// Its subscriptions that we know of.
    package let interestEntries: Int
}

extension BrokerMachine {
    /// Every node known: this one first, then the members by name, then the leaves of this node.
    package var nodes: [NodeStatus] {
        let own = NodeStatus(
            node: node, record: members.own, link: nil, isLeaf: isLeaf, isDraining: isLeaving, isDialedByUs: false, roundTrip: nil,
            interestEntries: localFlows.count)
        let known = members.others.map { status($0.node, $0, links[$0.node]) }
        let guests = leaves.map { status($0.key.node, nil, $0.value) }.sorted {
            ($0.node, $0.link ?? .local) < ($1.node, $1.link ?? .local)
        }
        return [own] + known + guests
    }

    /// The link to a core node.
    package func link(to node: NodeID) -> LinkID? { links[node] }
    /// The node at the other end of a link that takes part.
    package func peer(at link: LinkID) -> PeerInfo? { peers[link]?.info }
    /// How many peers are linked, leaves included.
    package var peerCount: Int { peers.count }
    /// Whether the peer has acknowledged all that was told it.
    package func isSettled(_ link: LinkID) -> Bool { peers[link].map { $0.acknowledged == log.version && !log.hasPending } ?? false }

    private func status(_ node: NodeID, _ record: MemberRecord?, _ link: LinkID?) -> NodeStatus {
        let peer = link.flatMap { peers[$0] }
        var record = record
        // The record may be of another process that had the name; who is linked has said itself where it is.
        if let info = peer?.info, let known = record, known.incarnation != info.incarnation, !info.address.isEmpty {
            record?.address = info.address
            record?.roles = info.roles
        }
        return NodeStatus(
            node: node, record: record, link: link, isLeaf: peer?.isLeaf ?? false, isDraining: peer?.isDraining ?? false,
            isDialedByUs: peer?.info.dialedByUs ?? false, roundTrip: peer?.roundTrip, interestEntries: peer?.interest.count ?? 0)
    }
}
