import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineRouting
import LLMgineWire
import Synchronization

/// The outlets of a node: which subscription of which peer is which, over links that break and nodes that restart.
final class Outlets: Sendable {
    /// How long what a withdrawn subscription was at work on may still be acknowledged, and how long a member of a queue group may be away before
    /// others get what it has not processed.
    static let grace = Duration.seconds(2)

    fileprivate struct Key: Hashable {
        let node: NodeID
        let incarnation: Incarnation
        let flow: UInt32
    }

    fileprivate struct State {
        var outlets: [Key: Outlet] = [:]
        /// The routes that lead to them.
        var routes: [ObjectIdentifier: RemoteFlow] = [:]
        var isStopped = false
    }

    private let bus: MessageBus
    private let limits: WireLimits
    private let services: OutletServices
    private let state = Mutex(State())

    init(bus: MessageBus, limits: WireLimits, services: OutletServices) {
        self.bus = bus
        self.limits = limits
        self.services = services
    }

    /// Events that are not acknowledged, by subscription.
    var unacknowledged: [String: Int] {
        let outlets = state.withLock { Array($0.outlets.values) }
        return Dictionary(outlets.map { ($0.name, $0.count) }.filter { $0.1 > 0 }, uniquingKeysWith: +)
    }

    /// A second has passed.
    func ticked() {
        for outlet in state.withLock({ Array($0.outlets.values) }) { outlet.ticked() }
    }

    // MARK: What peers tell

    /// The peer has subscribed, for the first time or again.
    func opened(_ entry: InterestEntry, over link: PeerLink) {
        let key = Key(node: link.peer, incarnation: link.hello.incarnation, flow: entry.flow)
        let outlet = state.withLock { state -> Outlet in
            if let known = state.outlets[key] { return known }
            let outlet =
                state.takeSuccessor(of: entry, at: key.node)
                ?? Outlet(entry, of: key.node, key.incarnation, limits: limits, services: services)
            state.outlets[key] = outlet
            return outlet
        }
        link.note(outlet, for: entry.flow)
        let rest = outlet.attach(entry, over: link)
        claimJournaled(for: outlet)  // before anything new
        lead(to: outlet, entry)
        claimJournaled(for: outlet)  // what came back between the two
        if let rest { bus.timers.schedule(at: .now + rest.rest) { outlet.resume(rest.epoch) } }
        guard let group = entry.group else { return }
        for other in state.withLock({ Array($0.outlets.values) }) where other !== outlet && other.entry.group == group { relieve(other) }
    }

    /// The peer has withdrawn a subscription. If it is leaving, the subscription comes back with it, provided that it has a name.
    func withdrawn(_ outlet: Outlet, isLeaving: Bool) {
        let epoch = outlet.withdraw()
        let isNamed = !(outlet.entry.reliable?.name.isEmpty ?? true)
        if !(isNamed && isLeaving) { forget(outlet) }
        expire(outlet, epoch, after: isNamed ? retention(of: outlet) : Outlets.grace, endedEarly)
        relieveSoon(outlet, epoch)
    }

    /// The link is gone; the subscriptions at its end may come back.
    func linkEnded(_ link: PeerLink) {
        for outlet in link.takeOutlets() {
            guard let epoch = outlet.linkEnded(link) else { continue }
            guard !(outlet.isWithdrawn && (outlet.entry.reliable?.name.isEmpty ?? true)) else {
                expire(outlet, epoch, after: Outlets.grace, endedEarly)
                continue
            }
            let away = LLMgineError(.peerLost, "the subscriber was away for longer than its retention of \(retention(of: outlet))")
            expire(outlet, epoch, after: retention(of: outlet), away)
            relieveSoon(outlet, epoch)
        }
    }

    /// The peer is linked, in this life: subscriptions of earlier lives that have no name will not come back.
    func peerUp(_ node: NodeID, _ incarnation: Incarnation) {
        let orphans = state.withLock { state in
            state.outlets.filter { $0.key.node == node && $0.key.incarnation != incarnation }.values
                .filter { $0.entry.reliable?.name.isEmpty ?? true }
        }
        let restarted = LLMgineError(.peerLost, "the subscriber's node has restarted, and the subscription had no name to come back under")
        for orphan in orphans {
            forget(orphan)
            relieve(orphan)
            // The other members of its group may be about to be linked.
            if orphan.entry.group == nil { end(orphan, restarted) }
        }
    }

    private let endedEarly = LLMgineError(.stopped, "the subscription ended before it had processed the event")

    private func retention(of outlet: Outlet) -> Duration { outlet.entry.reliable?.retention ?? .zero }

    // MARK: The journal

    /// Events of the journal are left for a subscription: one that goes by the name takes them.
    func claimJournaled(_ obligation: String) {
        let outlets = state.withLock { Array($0.outlets.values) }.filter { $0.obligation == obligation && !$0.isWithdrawn && !$0.isEnded }
        if let outlet = outlets.first(where: \.isAttached) ?? outlets.first { claimJournaled(for: outlet) }
    }

    private func claimJournaled(for outlet: Outlet) {
        guard bus.journal != nil, let obligation = outlet.obligation else { return }
        let late = bus.claimJournaled(obligation) { outlet.mayReceive($0) }
        if !late.isEmpty { outlet.take(over: late.map { Outlet.Parcel($0) }) }
    }

    // MARK: Routes

    /// Has the bus route to an outlet what its subscription wants now.
    private func lead(to outlet: Outlet, _ entry: InterestEntry) {
        let route = RemoteFlow(by: .own(outlet), flow: entry.flow, filters: entry.filters, group: entry.group)
        let (isNew, old) = state.withLock { state -> (Bool, RemoteFlow?) in
            let old = state.routes[ObjectIdentifier(outlet)]
            if let old, old.filters == route.filters, old.group == route.group { return (false, nil) }
            state.routes[ObjectIdentifier(outlet)] = route
            return (true, old)
        }
        guard isNew else { return }
        bus.addRemote(route)
        if let old { bus.removeRemote(old) }
    }

    /// Nothing new goes to an outlet.
    private func forget(_ outlet: Outlet) {
        if let route = state.withLock({ $0.routes.removeValue(forKey: ObjectIdentifier(outlet)) }) { bus.removeRemote(route) }
    }

    // MARK: Ends

    private func expire(_ outlet: Outlet, _ epoch: UInt64, after time: Duration, _ reason: LLMgineError) {
        bus.timers.schedule(at: .now + time) { [weak self] in
            guard outlet.isUnchanged(since: epoch) else { return }
            self?.end(outlet, reason)
        }
    }

    /// Gives what the member of a queue group cannot process to another, if it is still away after a while.
    private func relieveSoon(_ outlet: Outlet, _ epoch: UInt64) {
        guard outlet.entry.group != nil else { return }
        bus.timers.schedule(at: .now + Outlets.grace) { [weak self] in
            if outlet.isUnchanged(since: epoch) { self?.relieve(outlet) }
        }
    }

    private func relieve(_ outlet: Outlet) {
        guard let group = outlet.entry.group, !outlet.isAttached, outlet.count > 0 else { return }
        let members = state.withLock { Array($0.outlets.values) }.filter { $0 !== outlet && $0.entry.group == group && $0.isAttached }
        members.max { $0.credit(for: .normal) < $1.credit(for: .normal) }?.take(over: outlet.handOver())
    }

    private func end(_ outlet: Outlet, _ reason: LLMgineError) {
        forget(outlet)
        state.withLock { state in state.outlets = state.outlets.filter { $0.value !== outlet } }
        let name = outlet.name
        let left = outlet.end()
        services.bury(left.map { Outlet.Undeliverable(parcel: $0, error: reason) }, name)
        services.settled(left.map(\.sequence), outlet)
    }

    /// Waits until everything is acknowledged that can be. - Returns: what is not, by subscription.
    func drained(until end: ContinuousClock.Instant) async -> [String: Int] {
        while true {
            let waits = state.withLock { $0.outlets.values.contains { $0.isAttached && $0.count > 0 } }
            if !waits || ContinuousClock.now >= end { return unacknowledged }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }

    /// The node stops: what is left goes to the dead letters, unless the journal keeps it for the next life of the node.
    func stop() {
        let reason = LLMgineError(.stopped, "the publisher's node stopped before the event was acknowledged")
        for outlet in state.withLock({ Array($0.outlets.values) }) {
            forget(outlet)
            let lost = outlet.end().filter { !(bus.journal?.keeps($0.sequence) ?? false) }
            services.bury(lost.map { Outlet.Undeliverable(parcel: $0, error: reason) }, outlet.name)
        }
    }
}

extension Outlets.State {
    /// An outlet whose subscription is away and has the same name.
    fileprivate mutating func takeSuccessor(of entry: InterestEntry, at node: NodeID) -> Outlet? {
        guard let name = entry.reliable?.name, !name.isEmpty else { return nil }
        let found = outlets.filter { key, outlet in
            key.node == node && !outlet.isAttached && outlet.entry.reliable?.name == name && outlet.entry.group == entry.group
        }.min { $0.key.incarnation < $1.key.incarnation }
        if let found { outlets[found.key] = nil }
        return found?.value
    }
}
