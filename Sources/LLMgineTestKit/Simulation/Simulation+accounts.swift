import LLMgineBroker
import LLMgineCore
import LLMgineFlow
import LLMgineLink

// What every publisher, subscription, link and budget must add up to once everything is quiet.
extension Simulation {
    /// The accounts, once nothing is under way any more.
    package func checkAccounts() {
        for wire in wires {
            // A connection that the nodes do not use must not stay.
            if !wire.isOver, wire.isEstablished {
                for end in wire.ends where end.node.isAlive && !end.node.isLeaf && end.node.links[end.id] == nil && !end.isOver {
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
            for subscription in node.subscriptions where subscription.own.pending != subscription.unreadable {
                let (pending, lost) = (subscription.own.pending, subscription.unreadable)
                fault("\(pending) messages of its own node never reached \(subscription.name), whose disk tells of \(lost)")
            }
            for outlet in node.outlets where !outlet.account.pending.isEmpty {
                let pending = outlet.account.pending
                fault("\(pending.count) events of \(node.name) are not processed at \(outlet.name) and not given up: \(pending.prefix(5))")
            }
            for leak in node.desk.leakedSlots() { fault(leak) }
            checkBudget(node)
        }
    }

    /// matched = delivered + evicted + rejected, and what was evicted is what the markers have told.
    private func checkOpen(_ link: SimulatedLink) {
        var missing = 0
        var told = 0
        var lostOnDisk = 0
        for (flow, passage) in link.passages {
            missing += passage.pending
            told += passage.gaps.reduce(0, +)
            lostOnDisk += passage.lostOnDisk
            if passage.holes > 0, link.rejected == 0 {
                fault("\(passage.holes) messages of \(link.node.name) for \(link.peer.name)/\(flow) are missing, untold")
            }
            checkCredit(link, flow)
        }
        for (flow, outlet) in link.outlets where outlet.link === link && !outlet.isWithdrawn { checkCredit(link, flow) }
        // Of flows that have ended in between, nothing is known any more but that some may have been rejected.
        // What a disk has lost is told with the next event.
        let most = told + link.rejected + lostOnDisk
        let isWrong = missing > most || (link.closedFlows == 0 && missing < told + link.rejected)
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
