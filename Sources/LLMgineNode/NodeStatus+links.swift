import LLMgineBus
public import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTransport
import Synchronization

extension NodeStatus {
    /// The memory that the node lends to what its peers send.
    public struct Memory: Sendable, Hashable, Codable {
        /// The whole, in bytes: ``NodeConfiguration/memoryBudget``.
        public var budget: UInt64
        /// What open flows have to themselves, used or not.
        public var exclusive: UInt64
        /// What is granted or queued beyond that.
        public var floating: UInt64
        /// How many flows wait for memory.
        public var waiting: Int
        /// What of `floating` is for events that this node keeps until its peers acknowledge them; nil from an older node.
        public var windows: UInt64?
    }

    /// One link, in both directions.
    public struct Link: Sendable, Hashable, Codable {
        /// The node at the other end.
        public var peer: NodeID
        /// How many subscriptions it has.
        public var flows: Int
        /// Messages that may still be sent to them before they grant more.
        public var creditMessages: UInt64
        /// The same in payload bytes.
        public var creditBytes: UInt64
        /// Messages that wait here to go out, each counted for every subscription that is to get it.
        public var queuedMessages: Int
        /// Their bytes.
        public var queuedBytes: Int
        /// Messages that wait on the disk; nil from an older node.
        public var spilledMessages: Int?
        /// The subscriptions that keep them waiting.
        public var blocked: [Blocked]
        /// Messages that the peer may still send here.
        public var grantedMessages: UInt64
        /// The same in payload bytes.
        public var grantedBytes: UInt64
        /// Messages from the peer that wait here for their handlers.
        public var arrivedMessages: UInt64
        /// Their payload bytes.
        public var arrivedBytes: UInt64
        /// What compression has saved; nil where the two nodes do not use it.
        public var compression: Compression?
    }

    /// The bytes of frames on one link before they were compressed, and after. What the link itself says, pings for example, is not counted.
    public struct Compression: Sendable, Hashable, Codable {
        /// Bytes that were to be sent.
        public var sentBytes: UInt64
        /// Bytes that went over the wire for them.
        public var sentWireBytes: UInt64
        /// Bytes of what came compressed, once inflated.
        public var receivedBytes: UInt64
        /// Bytes that came over the wire for them.
        public var receivedWireBytes: UInt64
    }

    /// A subscription of a peer that has no room for what waits for it.
    public struct Blocked: Sendable, Hashable, Codable {
        /// Its filters and number, as in receipts: `orders.>#17`.
        public var subscription: String
        /// The class that waits.
        public var priority: String
        /// How many messages.
        public var messages: Int
        /// How many bytes.
        public var bytes: Int
        /// Whether publishers no longer wait for it, and the oldest go instead.
        public var isDemoted: Bool
        /// What it asks of its publishers, as ``WhenFull/init(named:)`` reads it; nil from an older node.
        public var whenFull: String?
    }
}

extension Node {
    var memoryStatus: NodeStatus.Memory {
        let budget = credit.budget
        return NodeStatus.Memory(
            budget: budget.bytes, exclusive: budget.reserved, floating: budget.floating, waiting: credit.waiting,
            windows: budget.windows)
    }

    var linkStatus: [NodeStatus.Link] {
        state.withLock { Array($0.links.values) }.map(\.status).sorted { $0.peer < $1.peer }
    }
}

extension PeerLink {
    fileprivate var status: NodeStatus.Link {
        let outbound = connection.read { $0.status }
        let names = Dictionary(routes().map { ($0.flow, $0.filters.map(\.text).joined(separator: ",")) }, uniquingKeysWith: { $1 })
        var status = NodeStatus.Link(
            peer: peer, flows: outbound.flows, creditMessages: outbound.credit.messages, creditBytes: outbound.credit.bytes,
            queuedMessages: outbound.messages, queuedBytes: outbound.bytes, spilledMessages: spilled,
            blocked: outbound.blocked.map { blocked in
                NodeStatus.Blocked(
                    subscription: "\(names[blocked.flow] ?? "")#\(blocked.flow)", priority: "\(blocked.priority)",
                    messages: blocked.messages, bytes: blocked.bytes, isDemoted: blocked.isDemoted, whenFull: "\(blocked.whenFull)")
            }, grantedMessages: 0, grantedBytes: 0, arrivedMessages: 0, arrivedBytes: 0,
            compression: connection.compression.map { tally in
                NodeStatus.Compression(
                    sentBytes: tally.sent, sentWireBytes: tally.sentOnWire, receivedBytes: tally.received,
                    receivedWireBytes: tally.receivedOnWire)
            })
        for flow in inboundFlows() {
            let inbound = flow.status
            status.grantedMessages += inbound.outstanding.messages
            status.grantedBytes += inbound.outstanding.bytes
            status.arrivedMessages += inbound.queued.messages
            status.arrivedBytes += inbound.queued.bytes
        }
        return status
    }
}
