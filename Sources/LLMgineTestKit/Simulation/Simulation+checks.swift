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
            for other in alive where other !== node { found += disagreements(node, other) }
            if node.broker.members.digest != alive[0].broker.members.digest {
                found.append("\(node.name) sees other members than \(alive[0].name)")
            }
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
            for subscription in node.subscriptions {
                // A peer may fill each class.
                let bound = subscription.capacity * (1 + 4 * (node.links.count + 2 * tally.linksLost))
                if subscription.count > bound { fault("\(subscription.name) holds \(subscription.count) messages, more than \(bound)") }
            }
        }
    }

    /// The accounts, once nothing is under way any more.
    package func checkAccounts() {
        for wire in wires {
            // A connection that the nodes do not use must not stay.
            if !wire.isOver, wire.isEstablished {
                for end in wire.ends where end.node.isAlive && end.node.links[end.id] == nil && !end.isOver {
                    fault("\(end.node.name) keeps a connection to \(end.peer.name) that it does not use")
                }
            }
            for end in wire.ends {
                if end.node.isAlive, end.node.links[end.id] === end, !end.isOver, !wire.isCut {
                    checkOpen(end)
                } else {
                    checkEnded(end)
                }
            }
        }
        for node in nodes where node.isAlive {
            for subscription in node.subscriptions where subscription.own.pending > 0 {
                fault("\(subscription.own.pending) messages of its own node never reached \(subscription.name)")
            }
            for leak in node.desk.leakedSlots() { fault(leak) }
            checkBudget(node)
        }
    }

    /// matched = delivered + evicted + rejected, and what was evicted is what the markers have told.
    private func checkOpen(_ link: SimulatedLink) {
        var missing = 0
        var told = 0
        for (flow, passage) in link.passages {
            missing += passage.pending
            told += passage.gaps.reduce(0, +)
            if passage.holes > 0, link.rejected == 0 {
                fault("\(passage.holes) messages of \(link.node.name) for \(link.peer.name)/\(flow) are missing, untold")
            }
            checkCredit(link, flow)
        }
        // Of flows that have ended in between, nothing is known any more but that some may have been rejected.
        let isWrong = link.closedFlows == 0 ? missing != told + link.rejected : missing > told + link.rejected
        if isWrong {
            fault(
                "\(link.node.name) to \(link.peer.name): \(missing) messages did not arrive, the markers tell of \(told), \(link.rejected) were rejected"
            )
        }
    }

    /// A link that broke loses the end of what was sent, and nothing before it.
    private func checkEnded(_ link: SimulatedLink) {
        guard link.rejected == 0 else { return }
        for (flow, passage) in link.passages where passage.holes > 0 {
            fault("\(passage.holes) messages of \(link.node.name) for \(link.peer.name)/\(flow) got lost before the link did")
        }
    }

    /// What the publisher may send is what the subscriber has lent it, and nothing is queued that is not there.
    private func checkCredit(_ link: SimulatedLink, _ flow: UInt32) {
        let far = link.wire.ends[1 - link.side]
        // A frame that is under way may be a grant.
        guard let credit = far.inbound[flow], link.wire.isSilent, !link.outbox.hasWork, !far.outbox.hasWork else { return }
        for priority in Priority.allCases {
            let ledger = credit.account(priority).ledger
            let room = link.outbox.room(flow: flow, priority)
            if ledger.queued != .none || UInt64(max(0, room)) != ledger.outstanding.messages {
                fault(
                    "\(link.node.name) has room for \(room) \(priority) messages to \(link.peer.name)/\(flow), which has lent it \(ledger.outstanding) and holds \(ledger.queued)"
                )
            }
        }
    }

    /// The budget of a node counts what its accounts hold and nothing else.
    private func checkBudget(_ node: SimulatedNode) {
        let held = node.links.values.reduce(0 as UInt64) { $0 + $1.inbound.values.reduce(0) { $0 + $1.held } }
        if node.budget.used != held { fault("\(node.name) counts \(node.budget.used) bytes as lent, its accounts hold \(held)") }
    }
}
