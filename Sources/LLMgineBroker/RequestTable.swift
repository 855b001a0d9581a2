package import struct LLMgineCore.LLMgineError
package import struct LLMgineCore.NodeID
package import enum LLMgineCore.Priority
package import struct LLMgineCore.Topic
import struct LLMgineRouting.InterestEntry
import struct LLMgineRouting.TopicTrie

/// The requests of one node: those that wait for a responder with room, and those under way.
///
/// A responder's credit is its free slots, as an absolute number of requests granted since its link began; what was sent is counted here. So a
/// request waits where it was made, moves to whoever has room first, and dies with no responder's queue. Each request ends exactly once
/// (guarantee G9), by whatever comes first: a reply, a failure here, or its deadline.
package struct RequestTable: Sendable {
    /// How many requests may wait at a time, by default. One more fails with `noCapacity`.
    package static let defaultQueueLimit = 10_000

    struct Responder: Sendable {
        let node: NodeID
        let entry: InterestEntry
        var granted: UInt64 = 0
        var sent: UInt64 = 0
        var isDraining = false

        var free: UInt64 { granted > sent ? granted - sent : 0 }
    }

    struct Pending: Sendable {
        let topic: Topic
        let deadline: Duration
        let order: UInt64
        let priority: Priority
        /// Nodes that must not get it, because they had it before.
        let excluded: Set<NodeID>
        /// Who has it; nil while it waits.
        var responder: ResponderID?
    }

    let own: NodeID
    let queueLimit: Int
    var responders: [ResponderID: Responder] = [:]
    var trie = TopicTrie<ResponderID>()
    var pending: [UInt64: Pending] = [:]
    var lines: [Topic: WaitingLine] = [:]
    var deadlines = DeadlineHeap()
    /// How many requests wait.
    package internal(set) var waiting = 0
    private var order: UInt64 = 0

    package init(own: NodeID, queueLimit: Int = RequestTable.defaultQueueLimit) {
        self.own = own
        self.queueLimit = queueLimit
    }

    /// How many requests a responder has.
    package var inFlight: Int { pending.count - waiting }
    /// How many responders are known.
    package var responderCount: Int { responders.count }
    /// The next deadline to report; nil if nothing waits for one.
    package var nextDeadline: Duration? { deadlines.first?.deadline }

    /// The free slots of a responder.
    package func free(_ responder: ResponderID) -> UInt64 { responders[responder]?.free ?? 0 }

    /// Someone made a request.
    /// - Parameters:
    ///   - request: unused in this life of the node.
    ///   - excluded: nodes that had it before and failed.
    ///   - random: two numbers that choose among the remote responders.
    package mutating func requestStarted(
        _ request: UInt64, topic: Topic, priority: Priority = .normal, deadline: Duration, excluding excluded: Set<NodeID> = [],
        random: (UInt64, UInt64), at now: Duration, into actions: inout [RequestAction]
    ) {
        precondition(pending[request] == nil, "request \(request) was started twice")
        guard deadline > now else {
            actions.append(.fail(request, LLMgineError(.deadlineExceeded, "the deadline had passed before the request was made")))
            return
        }
        let able = trie.matches(topic).filter { mayTake($0, excluded: excluded) }
        guard !able.isEmpty else {
            actions.append(.fail(request, RequestTable.noResponders(topic)))
            return
        }
        let chosen = choose(from: able, random: random)
        guard chosen != nil || waiting < queueLimit else {
            actions.append(.fail(request, LLMgineError(.noCapacity, "\(waiting) requests are waiting for a responder already")))
            return
        }
        order += 1
        pending[request] = Pending(topic: topic, deadline: deadline, order: order, priority: priority, excluded: excluded)
        noteDeadline(request, deadline)
        if let chosen {
            dispatch(request, to: chosen, into: &actions)
        } else {
            lines[topic, default: WaitingLine()].append(request, priority)
            waiting += 1
            actions.append(.queued(request))
        }
    }

    /// The last reply or an error came from the responder. - Returns: whether the request was still open; if not, its answer is too late.
    package mutating func finished(_ request: UInt64) -> Bool { end(request) != nil }

    /// Whether the request is still open: a reply to any other goes nowhere.
    package func isOpen(_ request: UInt64) -> Bool { pending[request] != nil }

    /// Who has the request; nil if nobody has, or it is over.
    package func responder(of request: UInt64) -> ResponderID? { pending[request]?.responder }

    /// The caller gave up.
    package mutating func cancelled(_ request: UInt64, into actions: inout [RequestAction]) {
        guard let ended = end(request) else { return }
        if let responder = ended.responder { actions.append(.cancel(request, at: responder)) }
        actions.append(.fail(request, LLMgineError(.cancelled, "the caller gave up")))
    }

    /// Time passed. Ends what is past its deadline: `noCapacity` if it never had a responder, else `deadlineExceeded`.
    package mutating func ticked(at now: Duration, into actions: inout [RequestAction]) {
        while let item = deadlines.next(passedAt: now) {
            guard let ended = end(item.request) else { continue }
            if let responder = ended.responder {
                actions.append(.cancel(item.request, at: responder))
                actions.append(.fail(item.request, LLMgineError(.deadlineExceeded, "no answer on \(ended.topic) before the deadline")))
            } else {
                actions.append(
                    .fail(item.request, LLMgineError(.noCapacity, "no responder on \(ended.topic) had room before the deadline")))
            }
        }
    }

    /// Takes a request out of the table.
    mutating func end(_ request: UInt64) -> Pending? {
        guard let ended = pending.removeValue(forKey: request) else { return nil }
        if ended.responder == nil { leaveLine(ended.topic) }
        return ended
    }

    mutating func leaveLine(_ topic: Topic) {
        waiting -= 1
        let pending = pending
        lines[topic]?.removed { pending[$0].map { $0.responder == nil } ?? false }
        if lines[topic]?.isEmpty ?? false { lines[topic] = nil }
    }

    mutating func dispatch(_ request: UInt64, to id: ResponderID, into actions: inout [RequestAction]) {
        guard let node = responders[id]?.node else { return }
        responders[id]?.sent += 1
        pending[request]?.responder = id
        actions.append(.dispatch(request, to: id, node: node))
    }

    func mayTake(_ id: ResponderID, excluded: Set<NodeID>) -> Bool {
        guard let responder = responders[id] else { return false }
        return !responder.isDraining && !excluded.contains(responder.node)
    }

    /// A local responder if one has room; else the one with more room of two remote ones picked at random, which spreads load nearly as well as
    /// asking all and does not send everybody to the same one.
    private func choose(from able: [ResponderID], random: (UInt64, UInt64)) -> ResponderID? {
        let free = able.filter { self.free($0) > 0 }
        let local = free.filter { $0.link == .local }
        if let best = local.max(by: { (self.free($0), $1.flow) < (self.free($1), $0.flow) }) { return best }
        guard !free.isEmpty else { return nil }
        let one = free[Int(random.0 % UInt64(free.count))]
        let other = free[Int(random.1 % UInt64(free.count))]
        return self.free(other) > self.free(one) ? other : one
    }

    private mutating func noteDeadline(_ request: UInt64, _ deadline: Duration) {
        if deadlines.count > 2 * pending.count + 64 {
            deadlines = DeadlineHeap(pending.map { DeadlineHeap.Item(deadline: $0.value.deadline, request: $0.key) })
        } else {
            deadlines.insert(DeadlineHeap.Item(deadline: deadline, request: request))
        }
    }

    static func noResponders(_ topic: Topic) -> LLMgineError { LLMgineError(.noResponders, "nobody responds on \(topic)") }
}
