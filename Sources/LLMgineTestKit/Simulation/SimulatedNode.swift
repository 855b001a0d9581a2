package import LLMgineBroker
package import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineMembership
import LLMgineNode
import LLMgineRouting
import LLMgineWire

/// One life of a node: the machines of a `Node` with the least around them that makes them one.
package final class SimulatedNode {
    static let cluster = "simulation"

    unowned let simulation: Simulation
    /// Where it runs; a later life of it runs at the same place, another process with its name does not.
    package let host: Int
    package let name: NodeID
    package let incarnation: Incarnation
    let address: String
    /// Whether it hangs on hubs and is no member of the mesh.
    package let isLeaf: Bool
    /// Whether it offers to compress.
    private let compresses: Bool
    package private(set) var broker: BrokerMachine
    package private(set) var isAlive = true
    package private(set) var isPaused = false
    /// What its links have written and read, and in how many pieces.
    package internal(set) var traffic = Traffic()
    private var lastPause: Duration?
    private var deferred: [() -> Void] = []

    var links: [LinkID: SimulatedLink] = [:]
    /// Connections whose handshake ended well, until the broker has decided.
    var candidates: [LinkID: SimulatedLink] = [:]
    package private(set) var subscriptions: [SimulatedSubscription] = []
    package private(set) var publishers: [SimulatedPublisher] = []
    private(set) lazy var desk = SimulatedDesk(self)
    /// What it does for its leaves, and what it still does for those that have gone.
    var relays: [LinkID: SimulatedRelay] = [:]
    var finishing: [SimulatedRelay] = []
    /// What it keeps for subscriptions of others that have their events at least once; also those that have ended.
    var outlets: [SimulatedOutlet] = []
    /// Where the next round of each queue group starts.
    private var turns: [String: Int] = [:]
    /// By how much its clock is ahead of the simulation's.
    private var clockOffset = Duration.zero
    private var waits: [UInt64: Wait] = [:]
    private var resolved: [Wait] = []
    private var lastWait: UInt64 = 0
    private var lastFlow: UInt32 = 0
    private(set) var lastSequence: UInt64 = 0
    private var inbox: [(inout BrokerMachine, inout [BrokerAction]) -> Void] = []
    private var isReading = false
    private(set) var interest: (version: UInt64, hash: UInt64) = (0, 0)
    /// Credit of links that are gone: only a broken node keeps it.
    var remembered: [NodeID: [UInt32: InboundFlowCredit]] = [:]
    /// What its peers may fill.
    var budget = CreditBudget(bytes: 64 << 20)
    /// Subscriptions that ended: only a broken node keeps them.
    private var zombies: [UInt32: SimulatedSubscription] = [:]

    /// Somebody who waits until the peers know what he has subscribed to.
    private struct Wait {
        let flows: [UInt32]
        /// Those that were linked when the wait began and have been since.
        let peers: Set<NodeID>
        /// Is called at its end.
        let done: (() -> Void)?
    }

    package struct Traffic: Sendable {
        package var writtenBytes = 0
        package var writes = 0
        package var readBytes = 0
        package var reads = 0
    }

    init(_ simulation: Simulation, host: Int, name: NodeID, incarnation: Incarnation, isLeaf: Bool = false) {
        self.simulation = simulation
        self.host = host
        self.name = name
        self.incarnation = incarnation
        self.isLeaf = isLeaf
        address = isLeaf ? "" : Simulation.address(host)
        compresses = simulation.compressing > 0 && simulation.chance(simulation.compressing)
        var configuration = BrokerMachine.Configuration(
            own: MemberRecord(node: name, incarnation: incarnation, address: address), kind: isLeaf ? .leaf : .core,
            seeds: (0..<simulation.settings.seeds).map(Simulation.address))
        configuration.gossipInterval = .milliseconds(simulation.settings.gossipMilliseconds)
        broker = BrokerMachine(configuration)
    }

    var settings: SimulationSettings { simulation.settings }

    var hello: HelloFrame {
        HelloFrame(
            cluster: SimulatedNode.cluster, node: name, incarnation: incarnation, advertisedAddress: address, kind: isLeaf ? .leaf : .core,
            features: compresses ? WireFeatures.supported.union(.compression) : .supported)
    }

    /// How many subscriptions of others it knows.
    package var interestEntries: Int { broker.nodes.dropFirst().reduce(0) { $0 + $1.interestEntries } }

    // MARK: Life

    /// What its own clock says.
    var now: Duration { simulation.now + clockOffset }

    /// Its clock goes ahead, as after a sleep of the machine: to the node it is as if nothing had come for so long.
    package func stepClock(by duration: Duration) { clockOffset += duration }

    func start() {
        simulation.plan(in: 0, on: self) { [self] in
            tell { [now] in $0.started(at: now, into: &$1) }
            tickLater()
            tickCredit()
        }
    }

    /// Idle flows give back what they do not use.
    private func tickCredit() {
        guard !settings.isStar else { return }
        simulation.plan(in: 1_000_000, on: self) { [self] in
            for id in links.keys.sorted() {
                guard let inbound = links[id]?.inbound else { continue }
                for flow in inbound.keys.sorted() { inbound[flow]?.ticked() }
            }
            tickCredit()
        }
    }

    private func tickLater() {
        let now = now
        let next = settings.isStar && host != 0 ? now + .milliseconds(settings.gossipMilliseconds) : broker.nextTick(at: now)
        let longest: Duration = settings.isStar && host != 0 ? .seconds(5) : .seconds(1)
        let wait = min(max((next ?? now + .seconds(1)) - now, .milliseconds(10)), longest)
        simulation.plan(in: wait.microseconds, on: self) { [self] in
            let number = simulation.random.next()
            tell { [now] in $0.ticked(at: now, random: number, into: &$1) }
            tickLater()
        }
    }

    /// Meets what happens to it: now, when it goes on, or never.
    func meet(_ happening: @escaping () -> Void) {
        guard isAlive else { return }
        if isPaused { deferred.append(happening) } else { happening() }
    }

    /// `SIGSTOP`.
    package func pause() {
        guard isAlive else { return }
        isPaused = true
        lastPause = simulation.now
    }

    /// `SIGCONT`: all that has come meanwhile is met at once.
    package func proceed() {
        guard isAlive, isPaused else { return }
        isPaused = false
        lastPause = simulation.now
        let happenings = deferred
        deferred = []
        for happening in happenings { meet(happening) }
    }

    func wasPaused(since time: Duration) -> Bool { lastPause.map { $0 >= time } ?? false }

    /// `SIGKILL`.
    package func kill() {
        guard isAlive else { return }
        isAlive = false
        deferred = []
        for wire in simulation.wires where !wire.isCut {
            for end in wire.ends where end.node === self && !end.isOver { wire.orphaned(end.side) }
        }
    }

    /// Asks the others for no new work, and ends as soon as it may.
    package func leave() {
        guard isAlive, !isPaused else { return }
        let now = now
        tell { $0.leaveStarted(at: now, deadline: .seconds(10), into: &$1) }
        simulation.plan(in: Int64(simulation.draw(20_000...200_000)), on: self) { [self] in
            tell { $0.leaveFinished(into: &$1) }
            simulation.plan(in: 1000, on: self) { [self] in
                for link in links.values.sorted(by: { $0.id < $1.id }) { link.close(.shuttingDown) }
                simulation.plan(in: 20_000, on: self) { [self] in kill() }
            }
        }
    }

    // MARK: The broker

    /// Tells the machine what happened, in order; what its actions bring about comes after them.
    func tell(_ input: @escaping (inout BrokerMachine, inout [BrokerAction]) -> Void) {
        inbox.append(input)
        guard !isReading else { return }
        isReading = true
        // The control loop is another thread than the link's: mostly at once, sometimes a little later.
        if simulation.chance(20) {
            simulation.plan(in: Int64(simulation.draw(300)), on: self) { [self] in readInbox() }
        } else {
            readInbox()
        }
    }

    private func readInbox() {
        var next = 0
        while next < inbox.count {
            let input = inbox[next]
            next += 1
            drive(input)
        }
        inbox.removeAll(keepingCapacity: true)
        isReading = false
    }

    private func drive(_ input: (inout BrokerMachine, inout [BrokerAction]) -> Void) {
        var actions: [BrokerAction] = []
        input(&broker, &actions)
        interest = (broker.interestVersion, broker.interestHash)
        // First, so that what the loss of a link withdraws can be told from what the peer has withdrawn.
        for case .peerDown(_, let id) in actions { if let link = link(id) { outletsLost(with: link) } }
        for action in actions { perform(action) }
        settleWaits()
    }

    func resolve(_ waiter: UInt64) {
        guard let wait = waits.removeValue(forKey: waiter) else { return simulation.fault("\(name) resolves a wait twice") }
        resolved.append(wait)
    }

    private func settleWaits() {
        guard !waits.isEmpty || !resolved.isEmpty else { return }
        waits = waits.mapValues { wait in
            Wait(flows: wait.flows, peers: wait.peers.filter { broker.link(to: $0) != nil }, done: wait.done)
        }
        let done = resolved
        resolved = []
        for wait in done {
            check(wait)
            wait.done?()
        }
    }

    /// Guarantee G8: whoever could be reached all the time knows what was subscribed to before, so what it publishes now is not missed.
    private func check(_ wait: Wait) {
        simulation.tally.established += 1
        let flows = Set(wait.flows.filter { flow in subscriptions.contains { $0.id == flow } || desk.has(flow) })
        for peer in wait.peers {
            guard let id = broker.link(to: peer), let link = links[id], !link.isOver, !link.wire.isCut, link.peer.isAlive else { continue }
            // A peer that uses another link by now has lost this one.
            guard isLeaf || link.peer.broker.link(to: name) == id, let theirs = link.peer.links[id], !theirs.isOver else { continue }
            let relay = link.peer.relays[id]
            let missing = flows.filter {
                theirs.routes[$0] == nil && !link.peer.desk.knows($0, of: id) && relay?.subscriptions[$0] == nil
            }
            if !missing.isEmpty { simulation.fault("\(name) is established, but \(peer) lacks its \(missing.sorted())") }
        }
    }

    // MARK: What a test does

    /// - Returns: nil past the number of subscriptions that a node may have.
    @discardableResult
    package func subscribe(
        _ filters: [TopicFilter], capacity: Int, whenFull: WhenFull, pace: SimulatedSubscription.Pace,
        options: SimulatedSubscription.Options = .init()
    ) -> SimulatedSubscription {
        subscribe(filters, capacity: capacity, whenFull: whenFull, pace: pace, options: options, relay: nil)
    }

    /// - Parameter relay: takes the events in the place of a handler.
    func subscribe(
        _ filters: [TopicFilter], capacity: Int, whenFull: WhenFull, pace: SimulatedSubscription.Pace,
        options: SimulatedSubscription.Options, relay: ((SimulatedEvent, @escaping () -> Void) -> Void)?
    ) -> SimulatedSubscription {
        lastFlow += 1
        let subscription = SimulatedSubscription(
            self, id: lastFlow, filters: filters, capacity: capacity, whenFull: whenFull, pace: pace, options: options, relay: relay)
        subscriptions.append(subscription)
        let entry = subscription.entry
        tell { try? $0.locallySubscribed(entry, into: &$1) }
        return subscription
    }

    package func unsubscribe(_ subscription: SimulatedSubscription) {
        guard let index = subscriptions.firstIndex(where: { $0 === subscription }) else { return }
        subscriptions.remove(at: index)
        if simulation.broken == .deliversAfterUnsubscribe { zombies[subscription.id] = subscription }
        subscription.close()
        withdraw(subscription.id)
    }

    /// Without those that stand for leaves.
    package var ownSubscriptions: [SimulatedSubscription] { subscriptions.filter { !$0.isRelay } }

    func subscription(_ flow: UInt32) -> SimulatedSubscription? { subscriptions.first { $0.id == flow } ?? zombies[flow] }

    func nextFlow() -> UInt32 {
        lastFlow += 1
        return lastFlow
    }

    func announce(_ entry: InterestEntry) { tell { try? $0.locallySubscribed(entry, into: &$1) } }

    func withdraw(_ flow: UInt32) {
        tell { $0.locallyUnsubscribed(flow, into: &$1) }
        for link in links.values where simulation.broken != .deliversAfterUnsubscribe {
            link.inbound[flow] = nil
            link.slots[flow] = nil
        }
    }

    /// Waits until the peers know what was subscribed to so far.
    package func establish() { establish(then: nil) }

    func establish(then done: (() -> Void)?) {
        lastWait += 1
        let waiter = lastWait
        let flows = subscriptions.map(\.id) + desk.flows
        tell { [self] machine, actions in
            let peers = machine.nodes.dropFirst().filter { $0.link != nil }.map(\.node)
            waits[waiter] = Wait(flows: flows, peers: Set(peers), done: done)
            machine.established(waiter, into: &actions)
        }
    }

    /// - Parameter topics: their numbers; nobody else may publish to them.
    package func addPublisher(_ topics: [UInt32]) {
        publishers.append(SimulatedPublisher(self, topics: topics))
    }

    /// Asks one responder of the cluster.
    package func request(_ topic: Topic, within deadline: Duration, patience: Int = 100) {
        desk.start(topic, deadline: deadline, givesUp: !simulation.chance(patience))
    }

    package func respond(_ filter: TopicFilter, concurrency: Int) { desk.respond(filter, concurrency: concurrency) }
    package func stopResponding() { desk.stopSomeResponder() }

    func nextSequence() -> UInt64 {
        lastSequence += 1
        return lastSequence
    }

    func nextTurn(of group: String) -> Int {
        turns[group, default: 0] += 1
        return turns[group] ?? 0
    }

    var openWaits: Int { waits.count }
}
