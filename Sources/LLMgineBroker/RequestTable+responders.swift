package import struct LLMgineCore.LLMgineError
package import struct LLMgineCore.NodeID
package import struct LLMgineCore.Topic
package import struct LLMgineRouting.InterestEntry

extension RequestTable {
    /// A responder came up. It has no credit yet.
    package mutating func responderAdded(_ id: ResponderID, node: NodeID, entry: InterestEntry) {
        guard responders[id] == nil else { return }
        responders[id] = Responder(node: node, entry: entry)
        for filter in Set(entry.filters) { trie.insert(id, for: filter) }
    }

    /// A responder takes nothing new any more. What it has it still answers.
    package mutating func responderRemoved(_ id: ResponderID, into actions: inout [RequestAction]) {
        forget(id)
        failTheHopeless(into: &actions)
    }

    /// A responder granted room: so many requests since its link began. Grants only grow; an older one changes nothing.
    package mutating func creditChanged(_ id: ResponderID, granted: UInt64, into actions: inout [RequestAction]) {
        guard let responder = responders[id], granted > responder.granted else { return }
        responders[id]?.granted = granted
        serve(id, into: &actions)
    }

    /// What was dispatched to a responder could not be sent: the responder knows nothing of it, and its slot is free for whoever waits.
    package mutating func notSent(to id: ResponderID, into actions: inout [RequestAction]) {
        guard let responder = responders[id], responder.sent > 0 else { return }
        responders[id]?.sent = responder.sent - 1
        serve(id, into: &actions)
    }

    /// The node at the other end of the link wants no new work.
    package mutating func peerDraining(_ link: LinkID, into actions: inout [RequestAction]) {
        for id in responders.keys where id.link == link { responders[id]?.isDraining = true }
        failTheHopeless(into: &actions)
    }

    /// The link is gone. What it had may have been executed.
    package mutating func peerLost(_ link: LinkID, into actions: inout [RequestAction]) {
        for id in responders.keys.filter({ $0.link == link }) { forget(id) }
        let lost = pending.filter { $0.value.responder?.link == link }.sorted { $0.value.order < $1.value.order }
        for (request, _) in lost where end(request) != nil {
            actions.append(.fail(request, LLMgineError(.peerLost, "the link to the responder broke; the request may have been executed")))
        }
        failTheHopeless(into: &actions)
    }

    private mutating func forget(_ id: ResponderID) {
        guard let gone = responders.removeValue(forKey: id) else { return }
        for filter in Set(gone.entry.filters) { trie.remove(id, for: filter) }
    }

    /// Gives a responder waiting requests while it has room: the highest class first, in it the one that came first.
    private mutating func serve(_ id: ResponderID, into actions: inout [RequestAction]) {
        guard let responder = responders[id], !responder.isDraining, waiting > 0 else { return }
        let topics = lines.keys.filter { topic in responder.entry.filters.contains { $0.matches(topic) } }
        while free(id) > 0 {
            var best: (request: UInt64, rank: (UInt8, UInt64), topic: Topic)?
            for topic in topics {
                guard let request = first(in: topic, for: responder.node), let known = pending[request] else { continue }
                let rank = (known.priority.rawValue, known.order)
                if best.map({ rank < $0.rank }) ?? true { best = (request, rank, topic) }
            }
            guard let best else { return }
            dispatch(best.request, to: id, into: &actions)
            leaveLine(best.topic)
        }
    }

    private mutating func first(in topic: Topic, for node: NodeID) -> UInt64? {
        let pending = pending
        return lines[topic]?.first(
            stillWaiting: { pending[$0].map { $0.responder == nil } ?? false },
            where: { !(pending[$0]?.excluded.contains(node) ?? true) })
    }

    /// Fails the waiting requests that nobody is left to take, so that their callers need not wait for the deadline.
    private mutating func failTheHopeless(into actions: inout [RequestAction]) {
        for topic in lines.keys.sorted() {
            let able = trie.matches(topic).filter { mayTake($0, excluded: []) }
            let waiting = lines[topic]?.all { pending[$0].map { $0.responder == nil } ?? false } ?? []
            for request in waiting {
                guard let known = pending[request], !able.contains(where: { mayTake($0, excluded: known.excluded) }) else { continue }
                _ = end(request)
                actions.append(.fail(request, RequestTable.noResponders(topic)))
            }
        }
    }
}
