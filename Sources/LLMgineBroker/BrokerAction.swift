package import struct LLMgineCore.Incarnation
package import struct LLMgineCore.LLMgineError
package import struct LLMgineCore.NodeID
package import struct LLMgineMembership.MemberRecord
package import struct LLMgineRouting.InterestEntry
package import struct LLMgineRouting.InterestUpdate

/// What the shell is to do, in this order.
package enum BrokerAction: Sendable, Hashable {
    package enum CloseReason: Sendable, Hashable {
        /// Both nodes dialled; the other link stays.
        case duplicateLink
        /// The peer made a new link in place of this one.
        case replaced
        /// A later life of the peer has a link.
        case superseded
        /// An earlier life of a peer whose later one has a link.
        case olderIncarnation
        /// Another process lives under the same identity at another address.
        case duplicateIdentity
        /// We dialled ourselves.
        case ourselves
        /// The peer broke the protocol.
        case fault(LLMgineError)
    }

    // Links
    /// The link takes part from now on.
    case peerUp(NodeID, LinkID, leaf: Bool)
    /// The link does not take part any more; its routes are gone already.
    case peerDown(NodeID, LinkID)
    /// The peer wants no new work.
    case peerDraining(NodeID, LinkID)
    case close(LinkID, CloseReason)
    /// Dial, then report `linkEstablished` or `dialFailed` with this address.
    case dial(String, expecting: NodeID?)

    // Interest
    case sendInterest(LinkID, InterestUpdate)
    /// To be sent after the routes of the same batch are in effect.
    case sendInterestAck(LinkID, UInt64)
    case requestInterest(LinkID, since: UInt64)
    /// Report `interestFlushed` in about 10 ms.
    case scheduleInterestFlush
    /// Report `interestAnswerDue` when this time is over, also while the node leaves.
    case scheduleInterestAnswer(LinkID, after: Duration)
    /// What is published here and matches goes there as well.
    case routeAdded(NodeID, LinkID, InterestEntry, leaf: Bool)
    case routeRemoved(NodeID, LinkID, UInt32)
    /// Every peer knows what the waiter waits for.
    case resolve(UInt64)

    // Membership
    case sendGossip(LinkID, [MemberRecord])
    /// The link closes after the deadline at the latest.
    case sendLeaving(LinkID, deadline: Duration)
    /// A later life of this node is in the cluster: this process should stop.
    case identityTaken(by: Incarnation)
}
