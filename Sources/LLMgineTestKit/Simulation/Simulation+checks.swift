import LLMgineBroker
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineMembership

// What must hold once everything is quiet.
extension Simulation {
    private var alive: [SimulatedNode] { nodes.filter(\.isAlive) }

    /// What is not yet as it will be.
    package var unrest: [String] {
        var found: [String] = []
        let alive = alive
        for node in alive {
            if node.isPaused { found.append("\(node.name) is stopped") }
            if node.openWaits > 0 { found.append("\(node.name) still waits for \(node.openWaits) confirmations") }
            if node.publishers.contains(where: { !$0.isIdle }) { found.append("\(node.name) still publishes") }
            for subscription in node.subscriptions where subscription.count > 0 {
                found.append("\(subscription.name) has \(subscription.count) messages to handle")
            }
            found += node.desk.disagreements
            for outlet in node.outlets where outlet.count > 0 {
                found.append("\(node.name) waits for \(outlet.count) acknowledgements of \(outlet.name)")
            }
            for relay in node.relays.values.map({ $0 }) + node.finishing where relay.uplink?.count ?? 0 > 0 {
                found.append("\(node.name) has \(relay.uplink?.count ?? 0) events of a leaf to publish")
            }
            if node.isLeaf {
                found += disagreements(ofLeaf: node)
                continue
            }
            for other in alive where other !== node && !other.isLeaf { found += disagreements(node, other) }
            if node.broker.members.digest != alive[0].broker.members.digest {
                found.append("\(node.name) sees other members than \(alive[0].name)")
            }
        }
        return found
    }

    /// A leaf works with one hub, which has subscribed for it to what it wants.
    private func disagreements(ofLeaf leaf: SimulatedNode) -> [String] {
        guard leaf.links.count == 1, let link = leaf.links.values.first else { return ["\(leaf.name) has \(leaf.links.count) hubs"] }
        guard !link.wire.isCut, let relay = link.peer.relays[link.id] else { return ["\(leaf.name) has lost its hub and does not know it"] }
        var found: [String] = []
        if link.routes.count != 1 { found.append("\(leaf.name) has \(link.routes.count) uplinks") }
        let wanted = leaf.subscriptions.map(\.id).sorted()
        let served = relay.subscriptions.keys.sorted()
        if wanted != served { found.append("\(link.peer.name) serves \(served) of \(leaf.name), not \(wanted)") }
        for end in link.wire.ends where end.outbox.queued.contains(where: { $0.messages > 0 }) {
            found.append("\(end.node.name) has messages queued for \(end.peer.name)")
        }
        return found
    }

    private func disagreements(_ one: SimulatedNode, _ other: SimulatedNode) -> [String] {
        guard let id = one.broker.link(to: other.name), let link = one.links[id] else {
            return ["\(one.name) has no link to \(other.name)"]
        }
        guard link.peer === other, other.broker.link(to: one.name) == id else {
            return ["\(one.name) and \(other.name) use different links"]
        }
        // A connection that broke a moment ago.
        guard !link.wire.isCut else { return ["\(one.name) has lost \(other.name) and does not know it"] }
        var found: [String] = []
        let wanted = other.subscriptions.map(\.id).sorted()
        let routes = link.routes.keys.sorted()
        if wanted != routes { found.append("\(one.name) has routes \(routes) to \(other.name), not \(wanted)") }
        let responders = one.desk.known.filter { $0.link == id }.map(\.flow).sorted()
        if responders != other.desk.flows.sorted() {
            found.append("\(one.name) knows responders \(responders) of \(other.name), not \(other.desk.flows.sorted())")
        }
        let queued = link.outbox.queued.reduce(0) { $0 + $1.messages }
        if queued > 0 { found.append("\(one.name) has \(queued) messages queued for \(other.name)") }
        return found
    }

    /// The limits that hold at any time: nothing waits without a bound.
    package func checkBounds() {
        for node in nodes where node.isAlive {
            for link in node.links.values {
                // Twice, because what waits for credit and may be superseded has room of its own.
                for (flow, messages) in link.outbox.queued where messages > 2 * 4 * settings.queueMessages {
                    fault("\(node.name) has \(messages) messages queued for flow \(flow) of \(link.peer.name)")
                }
                if link.outbox.controlBytes > 256 << 10 { fault("\(node.name) has \(link.outbox.controlBytes) bytes of control queued") }
            }
            for outlet in node.outlets where outlet.count > outlet.limit {
                fault("\(node.name) keeps \(outlet.count) events for \(outlet.name)")
            }
            for subscription in node.subscriptions {
                // A peer may fill each class.
                let bound = subscription.capacity * (1 + 4 * (node.links.count + 2 * tally.linksLost))
                if subscription.count > bound { fault("\(subscription.name) holds \(subscription.count) messages, more than \(bound)") }
            }
        }
    }
}
