import LLMgineCore
import LLMgineRouting

// Which subscription of which peer is which, over links that break and nodes that restart: `Outlets` of the node.
extension SimulatedNode {
    private var openOutlets: [SimulatedOutlet] { outlets.filter { !$0.isEnded } }

    /// The peer has subscribed, for the first time or again.
    func outletOpened(_ entry: InterestEntry, over link: SimulatedLink) {
        let peer = link.peer.name
        let life = link.peer.incarnation
        let outlet =
            openOutlets.first { $0.peer == peer && $0.incarnation == life && $0.entry.flow == entry.flow }
            ?? openOutlets.filter {
                $0.isNamed && $0.peer == peer && !$0.isAttached && $0.entry.reliable?.name == entry.reliable?.name
            }.min { $0.incarnation < $1.incarnation } ?? makeOutlet(entry, of: link.peer)
        link.outlets[entry.flow] = outlet
        link.accounts[entry.flow] = outlet.account
        outlet.attach(entry, over: link)
    }

    private func makeOutlet(_ entry: InterestEntry, of peer: SimulatedNode) -> SimulatedOutlet {
        let outlet = SimulatedOutlet(self, entry, of: peer.name, peer.incarnation)
        outlets.append(outlet)
        return outlet
    }

    /// The peer has withdrawn a subscription. If it is leaving, the subscription comes back with it, provided that it has a name.
    func outletWithdrawn(_ outlet: SimulatedOutlet, isLeaving: Bool) {
        outlet.withdraw()
        if !(outlet.isNamed && isLeaving) { outlet.forget() }
        expire(outlet, after: outlet.isNamed ? retention(of: outlet) : SimulatedOutlet.grace)
    }

    /// The link is gone; the subscriptions at its end may come back.
    func outletsLost(with link: SimulatedLink) {
        let lost = link.outlets.sorted { $0.key < $1.key }
        link.outlets = [:]  // so that none of them seems to be withdrawn
        for (_, outlet) in lost where outlet.linkEnded(link) {
            expire(outlet, after: outlet.isWithdrawn && !outlet.isNamed ? SimulatedOutlet.grace : retention(of: outlet))
        }
    }

    /// The peer is linked, in this life: subscriptions of earlier lives that have no name will not come back.
    func endOrphans(of peer: SimulatedNode) {
        for orphan in openOutlets where orphan.peer == peer.name && orphan.incarnation != peer.incarnation && !orphan.isNamed {
            orphan.end()
        }
    }

    private func retention(of outlet: SimulatedOutlet) -> Duration { outlet.entry.reliable?.retention ?? .zero }

    private func expire(_ outlet: SimulatedOutlet, after time: Duration) {
        simulation.plan(in: time.microseconds, on: self) { [epoch = outlet.epoch] in
            if outlet.epoch == epoch, !outlet.isEnded { outlet.end() }
        }
    }
}
