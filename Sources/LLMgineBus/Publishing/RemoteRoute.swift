package import LLMgineCore
package import LLMgineFlow

/// A subscription on another node, as this node routes to it.
package final class RemoteFlow: Sendable {
    /// How it is reached.
    package enum Way: Sendable {
        /// With others over the link that it lies at the end of.
        case link(any RemoteLink)
        /// On its own, whether there is a link at the moment or not.
        case own(any RemoteRoute)

        var end: AnyObject {
            switch self {
            case .link(let link): link
            case .own(let route): route
            }
        }

        func mayReceive(_ topic: Topic) -> Bool {
            switch self {
            case .link(let link): link.mayReceive(topic)
            case .own(let route): route.mayReceive(topic)
            }
        }

        func route(to flows: [UInt32]) -> any RemoteRoute {
            switch self {
            case .link(let link): link.route(flows: flows)
            case .own(let route): route
            }
        }
    }

    package let way: Way
    package let flow: UInt32
    package let filters: [TopicFilter]
    package let group: String?
    /// Whether it stands for all that the hub of this node, a leaf, knows.
    package let isUplink: Bool

    package convenience init(link: any RemoteLink, flow: UInt32, filters: [TopicFilter], group: String?, isUplink: Bool = false) {
        self.init(by: .link(link), flow: flow, filters: filters, group: group, isUplink: isUplink)
    }

    package init(by way: Way, flow: UInt32, filters: [TopicFilter], group: String?, isUplink: Bool = false) {
        self.isUplink = isUplink
        self.way = way
        self.flow = flow
        self.filters = filters
        self.group = group
    }
}

/// A link that can carry messages to a peer.
package protocol RemoteLink: AnyObject, Sendable {
    /// The node at the other end.
    var peer: NodeID { get }
    /// Whether the peer may receive what is published on the topic.
    func mayReceive(_ topic: Topic) -> Bool
    /// Runs tasks where the link's bytes arrive; nil if it has no such place.
    var executor: (any TaskExecutor)? { get }
    /// The way to these flows: one copy of a message serves them all.
    func route(flows: [UInt32]) -> any RemoteRoute

    /// Sends a request to a responder of the peer. - Throws: `limitExceeded`, `connectionClosed`.
    func sendRequest(_ request: UInt64, flow: UInt32, deadline: Duration, replyWindow: UInt64, _ message: Message) throws(LLMgineError)
    /// Nobody waits for the answer any more.
    func cancelRequest(_ request: UInt64)
    /// There is room for so many replies, counted from the first.
    func grantReplies(_ request: UInt64, messages: UInt64)

    /// Answers a request of the peer. - Throws: `limitExceeded`, `connectionClosed`.
    func sendReply(_ request: UInt64, _ message: Message, isLast: Bool) throws(LLMgineError)
    /// The answer is complete with what was sent.
    func sendReplyEnd(_ request: UInt64)
    /// There is no (further) answer.
    func sendReplyError(_ request: UInt64, _ error: LLMgineError)
}

extension RemoteRoute {
    package func mayReceive(_ topic: Topic) -> Bool { true }
    package func spill(_ message: Message, sequence: UInt64) async -> SpillLine.Outcome? { nil }
}

extension RemoteLink {
    package func mayReceive(_ topic: Topic) -> Bool { true }
    package var executor: (any TaskExecutor)? { nil }
}

/// Something outside this process that takes messages: one link, for one set of flows there.
package protocol RemoteRoute: AnyObject, Sendable {
    /// Whether the rules let the peer have what is published on the topic. Asked when a route is made.
    func mayReceive(_ topic: Topic) -> Bool
    /// The peer at the other end: what receipts name.
    var peer: NodeID { get }
    /// Puts a message in line. Never waits.
    func offer(_ message: borrowing Message, sequence: UInt64) -> RemoteOffer
    /// Waits until there may be room. False when woken for another reason.
    func waitForRoom(_ onRegistered: (UInt64) -> Void) async -> Bool
    /// Ends a wait early.
    func giveUp(_ waiter: UInt64)
    /// Puts a message that found no room on the disk; nil if that is not what its flow asks for.
    func spill(_ message: Message, sequence: UInt64) async -> SpillLine.Outcome?
    /// The flows that hold publishers back now.
    var holders: [PublisherHold.Holder] { get }
    /// Publishers no longer wait for these of them. - Returns: their names.
    func demote(_ flows: [UInt32]) -> [String]
    /// Messages of a class that could be sent right now.
    func credit(for priority: Priority) -> Int
    /// What a journal calls the subscription at the other end; nil if it does not keep its events for it.
    var obligation: String? { get }
}

extension RemoteRoute {
    package var obligation: String? { nil }
}

/// What became of a message that was offered to a link.
package enum RemoteOffer: Sendable, Equatable {
    /// In line; older ones may have gone for it, and single flows may have refused it.
    case accepted(evicted: Int, rejected: Int)
    /// The only flow has refused it.
    case refused
    /// A flow that asks publishers to wait has no room. Nothing was taken.
    case full
    /// A flow slows its publishers: nothing was taken, and it is worth trying again after this time.
    case paced(Duration)
    /// The link is gone.
    case closed
    /// No link may carry the message; the publisher is told.
    case failed(LLMgineError)
}
