import LLMgineCore
import LLMgineRouting

// Where an event goes: what `Router` of the bus makes of subscriptions here and on the peers.
extension SimulatedNode {
    /// The targets of one event.
    struct Targets {
        var locals: [SimulatedSubscription] = []
        /// One copy for each link, however many flows there want it; one more for each flow that has a way of its own.
        var remotes: [any SimulatedRoute] = []
        /// Queue groups, of which one member gets it.
        var groups: [(name: String, members: [any SimulatedRoute])] = []
    }

    /// - Parameter leaf: who published it, if it is passed on for a leaf.
    func targets(of topic: Topic, from leaf: ObjectIdentifier?) -> Targets {
        var targets = Targets()
        var groups: [String: [any SimulatedRoute]] = [:]
        for subscription in subscriptions where subscription.matches(topic) {
            // Nothing that a leaf has published goes back to it.
            if let leaf, subscription.relaysFor == leaf, simulation.broken != .echoesToLeaf { continue }
            if let group = subscription.group {
                groups[group, default: []].append(subscription)
            } else {
                targets.locals.append(subscription)
            }
        }
        for id in links.keys.sorted() {
            guard let link = links[id] else { continue }
            var flows: [UInt32] = []
            for flow in link.routes.keys.sorted() {
                guard let entry = link.routes[flow], entry.reliable == nil, entry.filters.contains(where: { $0.matches(topic) }) else {
                    continue
                }
                if let group = entry.group {
                    groups[group, default: []].append(link.spills[flow] ?? SimulatedLinkRoute(link, [flow]))
                } else if let spill = link.spills[flow] {
                    targets.remotes.append(spill)
                } else {
                    flows.append(flow)
                }
            }
            if !flows.isEmpty { targets.remotes.append(SimulatedLinkRoute(link, flows)) }
        }
        targets.remotes += outlets.filter { !$0.isForgotten && $0.matches(topic) } as [any SimulatedRoute]
        targets.groups = groups.sorted { $0.key < $1.key }.map { (name: $0.key, members: $0.value) }
        return targets
    }
}
