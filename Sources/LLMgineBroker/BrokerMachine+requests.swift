package import struct LLMgineCore.NodeID
package import enum LLMgineCore.Priority
package import struct LLMgineCore.Topic

/// The request table's inputs, with its actions in the order of all others.
extension BrokerMachine {
    /// Someone here made a request. See ``RequestTable``.
    package mutating func requestStarted(
        _ request: UInt64, topic: Topic, priority: Priority = .normal, deadline: Duration, excluding excluded: Set<NodeID> = [],
        random: (UInt64, UInt64), at now: Duration, into actions: inout [BrokerAction]
    ) {
        withRequests(&actions) {
            $0.requestStarted(
                request, topic: topic, priority: priority, deadline: deadline, excluding: excluded, random: random, at: now, into: &$1)
        }
    }

    /// A responder granted so many requests since its link began; `.local` for one of this node.
    package mutating func creditChanged(_ link: LinkID, flow: UInt32, granted: UInt64, into actions: inout [BrokerAction]) {
        withRequests(&actions) { $0.creditChanged(ResponderID(link: link, flow: flow), granted: granted, into: &$1) }
    }

    /// The last reply, or an error, came. - Returns: whether anybody still waits for it.
    package mutating func requestFinished(_ request: UInt64) -> Bool { requests.finished(request) }

    /// The caller gave up.
    package mutating func requestCancelled(_ request: UInt64, into actions: inout [BrokerAction]) {
        withRequests(&actions) { $0.cancelled(request, into: &$1) }
    }
}
