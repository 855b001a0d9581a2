import LLMgineBroker
import LLMgineCore
import LLMgineMembership
import LLMgineRouting

/// Some brokers on a network that delays, cuts and loses, under one clock and one seed.
struct SimulatedCluster {
    enum Frame {
        case interest(InterestUpdate)
        case acknowledged(UInt64)
        case wanted(UInt64)
        case gossip([MemberRecord])
        case leaving
        case ping(version: UInt64, hash: UInt64)
    }

    private enum Event {
        case up(connection: UInt64, at: Int)
        case down(connection: UInt64, at: Int, life: Int)
        case frame(Frame, connection: UInt64, to: Int)
        case dialFailed(String, at: Int, life: Int)
        case flush(Int, life: Int)
        case answer(LinkID, at: Int, life: Int)
        case tick
    }

    private struct Connection {
        let dialler: Int
        let acceptor: Int
        let address: String
        let lives: [Int]  // of the dialler and the acceptor
        var isCut = false
        /// When the last frame to each end arrives: a connection keeps its order.
        var lastArrival: [Int: Duration] = [:]

        func other(_ node: Int) -> Int { node == dialler ? acceptor : dialler }
    }

    struct Node {
        var broker: BrokerMachine
        /// How often it was started.
        var life: Int
        var nextFlow: UInt32 = 0
        var flows: Set<UInt32> = []
        var routes: [LinkID: Set<UInt32>] = [:]
        /// What each waiter waits for: the flows of then, and the links of then.
        var waits: [UInt64: (flows: Set<UInt32>, links: [LinkID])] = [:]
    }

    let seed: UInt64
    var random: Seeded
    var now = Duration.zero
    var nodes: [Node] = []
    /// How likely an INTEREST frame is lost on its way, in percent: TCP does not do that, a bug would.
    var lossPercent = 0
    /// What went against a promise.
    var faults: [String] = []
    var resolved = 0
    private var connections: [UInt64: Connection] = [:]
    private var nextConnection: UInt64 = 0
    private var nextWaiter: UInt64 = 0
    private var queue: [(at: Duration, event: Event)] = []  // latest first

    init(seed: UInt64, count: Int) {
        self.seed = seed
        random = Seeded(seed)
        for index in 0..<count { nodes.append(Node(broker: Self.broker(index, life: 1), life: 1)) }
        for index in 0..<count { act(index) { $0.started(at: .zero, into: &$1) } }
        schedule(.tick, in: .milliseconds(20))
    }

    private static func name(_ index: Int) -> NodeID { NodeID(stringLiteral: "n\(index)") }
    private static func address(_ index: Int) -> String { "n\(index):1" }

    private static func broker(_ index: Int, life: Int) -> BrokerMachine {
        let own = MemberRecord(node: name(index), incarnation: Incarnation(UInt64(life)), address: address(index))
        // Everybody knows the first two, and they know each other.
        return BrokerMachine(.init(own: own, seeds: [address(0), address(1)]))
    }

    // MARK: What the test does

    mutating func subscribe(_ index: Int) {
        nodes[index].nextFlow += 1
        let flow = nodes[index].nextFlow
        nodes[index].flows.insert(flow)
        let entry = InterestEntry(
            flow: flow, kind: flow % 3 == 0 ? .responder : .events, filters: [TopicFilter(stringLiteral: "t\(flow % 5).>")],
            windowMessages: 8, windowBytes: 100)
        act(index) { try? $0.locallySubscribed(entry, into: &$1) }
    }

    mutating func unsubscribe(_ index: Int) {
        guard let flow = nodes[index].flows.sorted().randomElement(using: &random) else { return }
        nodes[index].flows.remove(flow)
        act(index) { $0.locallyUnsubscribed(flow, into: &$1) }
    }

    mutating func establish(_ index: Int) {
        nextWaiter += 1
        let waiter = nextWaiter
        nodes[index].waits[waiter] = (nodes[index].flows, nodes.indices.compactMap { nodes[index].broker.link(to: Self.name($0)) })
        act(index) { $0.established(waiter, into: &$1) }
    }

    mutating func cutSomeLink() {
        guard let id = connections.keys.sorted().randomElement(using: &random) else { return }
        cut(id)
    }

    /// The process dies and another one takes its place; the others notice late.
    mutating func restart(_ index: Int) {
        let life = nodes[index].life + 1
        for id in connections.keys.sorted() where connections[id]?.dialler == index || connections[id]?.acceptor == index { cut(id) }
        nodes[index] = Node(broker: Self.broker(index, life: life), life: life)
        act(index) { [now] in $0.started(at: now, into: &$1) }
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        while let next = queue.last, next.at <= end {
            queue.removeLast()
            now = next.at
            handle(next.event)
        }
        now = end
    }

    /// What is not as it should be once everything is quiet.
    func disagreements() -> [String] {
        var found = faults
        for one in nodes.indices {
            if !nodes[one].waits.isEmpty { found.append("n\(one) still waits for \(nodes[one].waits.count) confirmations") }
            for other in nodes.indices where other != one {
                guard let link = nodes[one].broker.link(to: Self.name(other)) else {
                    found.append("n\(one) has no link to n\(other)")
                    continue
                }
                if nodes[other].broker.link(to: Self.name(one)) != link { found.append("n\(one) and n\(other) use different links") }
                let routes = nodes[one].routes[link] ?? []
                if routes != nodes[other].flows {
                    found.append("n\(one) has routes \(routes.sorted()) to n\(other), not \(nodes[other].flows.sorted())")
                }
            }
            if nodes[one].routes.values.filter({ !$0.isEmpty }).count > nodes.count - 1 {
                found.append("n\(one) has routes over dead links")
            }
            if nodes[one].broker.members.digest != nodes[0].broker.members.digest { found.append("n\(one) sees other members than n0") }
        }
        return found
    }

    // MARK: The network

    private mutating func schedule(_ event: Event, in delay: Duration) { schedule(event, at: now + delay) }

    private mutating func schedule(_ event: Event, at time: Duration) {
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if queue[middle].at > time { low = middle + 1 } else { high = middle }
        }
        // Before the ones of the same time, which come out first.
        queue.insert((time, event), at: low)
    }

    private mutating func delay(_ range: ClosedRange<Int>) -> Duration { .milliseconds(Int.random(in: range, using: &random)) }

    private mutating func cut(_ id: UInt64) {
        guard let connection = connections[id], !connection.isCut else { return }
        connections[id]?.isCut = true
        schedule(.down(connection: id, at: connection.dialler, life: connection.lives[0]), in: delay(0...2000))
        schedule(.down(connection: id, at: connection.acceptor, life: connection.lives[1]), in: delay(0...2000))
    }

    private func isAlive(_ id: UInt64, at index: Int) -> Bool {
        guard let connection = connections[id], !connection.isCut else { return false }
        return nodes[index].life == connection.lives[index == connection.dialler ? 0 : 1]
    }

    private mutating func handle(_ event: Event) {
        switch event {
        case .up(let id, let index):
            guard let connection = connections[id], isAlive(id, at: index) else { return }
            let peer = connection.other(index)
            let info = PeerInfo(
                node: Self.name(peer), incarnation: Incarnation(UInt64(connection.lives[peer == connection.dialler ? 0 : 1])),
                address: Self.address(peer), dialed: index == connection.dialler ? connection.address : nil)
            act(index) { [now] in $0.linkEstablished(LinkID(id), peer: info, at: now, into: &$1) }
        case .down(let id, let index, let life):
            if index == connections[id]?.dialler { connections[id]?.isCut = true }
            guard nodes[index].life == life else { return }
            let chance = Double.random(in: 0..<1, using: &random)
            act(index) { [now] in $0.linkLost(LinkID(id), at: now, random: chance, into: &$1) }
            if let connection = connections[id], index == connection.dialler {
                // For a dial that was cut before it was a link; one that was needs no second failure.
                act(index) { [now] in $0.dialFailed(connection.address, at: now, random: chance, into: &$1) }
            }
        case .frame(let frame, let id, let index):
            guard isAlive(id, at: index) else { return }
            deliver(frame, LinkID(id), index)
        case .dialFailed(let address, let index, let life):
            guard nodes[index].life == life else { return }
            let chance = Double.random(in: 0..<1, using: &random)
            act(index) { [now] in $0.dialFailed(address, at: now, random: chance, into: &$1) }
        case .flush(let index, let life):
            guard nodes[index].life == life else { return }
            act(index) { $0.interestFlushed(into: &$1) }
        case .answer(let link, let index, let life):
            guard nodes[index].life == life else { return }
            act(index) { [now] in $0.interestAnswerDue(link, at: now, into: &$1) }
        case .tick:
            for index in nodes.indices {
                let number = random.next()
                act(index) { [now] in $0.ticked(at: now, random: number, into: &$1) }
            }
            if now.components.attoseconds < 20_000_000_000_000_000 { pingAll() }
            schedule(.tick, in: .milliseconds(20))
        }
    }

    private mutating func pingAll() {
        for id in connections.keys.sorted() {
            guard let connection = connections[id] else { continue }
            for index in [connection.dialler, connection.acceptor] where nodes[index].broker.peer(at: LinkID(id)) != nil {
                let broker = nodes[index].broker
                send(.ping(version: broker.interestVersion, hash: broker.interestHash), LinkID(id), from: index)
            }
        }
    }

    private mutating func deliver(_ frame: Frame, _ link: LinkID, _ index: Int) {
        act(index) { [now] in
            switch frame {
            case .interest(let update): $0.interestReceived(link, update, into: &$1)
            case .acknowledged(let version): $0.interestAcknowledged(link, version: version, into: &$1)
            case .wanted(let version): $0.interestWanted(link, since: version, at: now, into: &$1)
            case .gossip(let records): $0.gossipReceived(link, records, at: now, into: &$1)
            case .leaving: $0.peerLeaving(link, into: &$1)
            case .ping(let version, let hash): $0.peerReportedInterest(link, version: version, hash: hash, into: &$1)
            }
        }
    }

    private mutating func send(_ frame: Frame, _ link: LinkID, from index: Int) {
        guard let connection = connections[link.value], isAlive(link.value, at: index) else { return }
        if case .interest = frame, Int.random(in: 0..<100, using: &random) < lossPercent { return }
        let peer = connection.other(index)
        let arrival = max(connection.lastArrival[peer] ?? .zero, now + delay(0...40))
        connections[link.value]?.lastArrival[peer] = arrival
        schedule(.frame(frame, connection: link.value, to: peer), at: arrival)
    }

    // MARK: The shell

    private mutating func act(_ index: Int, _ body: (inout BrokerMachine, inout [BrokerAction]) -> Void) {
        var actions: [BrokerAction] = []
        body(&nodes[index].broker, &actions)
        for action in actions { perform(action, index) }
    }

    private mutating func perform(_ action: BrokerAction, _ index: Int) {
        switch action {
        case .dial(let address, _): dial(address, index)
        case .close(let link, let reason):
            if case .fault(let error) = reason { faults.append("n\(index) closed \(link): \(error)") }
            cut(link.value)
        case .sendInterest(let link, let update): send(.interest(update), link, from: index)
        case .sendInterestAck(let link, let version): send(.acknowledged(version), link, from: index)
        case .requestInterest(let link, let since): send(.wanted(since), link, from: index)
        case .sendGossip(let link, let records): send(.gossip(records), link, from: index)
        case .sendLeaving(let link, deadline: _): send(.leaving, link, from: index)
        case .scheduleInterestFlush: schedule(.flush(index, life: nodes[index].life), in: .milliseconds(10))
        case .scheduleInterestAnswer(let link, after: let wait): schedule(.answer(link, at: index, life: nodes[index].life), in: wait)
        case .routeAdded(_, let link, let entry, _):
            if !nodes[index].routes[link, default: []].insert(entry.flow).inserted {
                faults.append("n\(index): flow \(entry.flow) of \(link) came twice")
            }
        case .routeRemoved(_, let link, let flow):
            if nodes[index].routes[link]?.remove(flow) == nil {
                faults.append("n\(index): flow \(flow) of \(link) went without having come")
            }
        case .resolve(let waiter): checkEstablished(waiter, index)
        case .identityTaken: faults.append("n\(index) was told that its identity is taken")
        case .peerDown(_, let link):
            if let left = nodes[index].routes.removeValue(forKey: link), !left.isEmpty {
                faults.append("n\(index): routes outlived \(link)")
            }
        case .peerUp, .peerDraining: break
        }
    }

    private mutating func dial(_ address: String, _ index: Int) {
        guard let target = nodes.indices.first(where: { Self.address($0) == address }), Int.random(in: 0..<10, using: &random) > 0 else {
            schedule(.dialFailed(address, at: index, life: nodes[index].life), in: delay(1...300))
            return
        }
        if target == index { faults.append("n\(index) dials itself") }
        nextConnection += 1
        connections[nextConnection] = Connection(
            dialler: index, acceptor: target, address: address, lives: [nodes[index].life, nodes[target].life])
        let first = now + delay(1...60)
        schedule(.up(connection: nextConnection, at: target), at: first)
        let second = first + delay(0...30)
        schedule(.up(connection: nextConnection, at: index), at: second)
        connections[nextConnection]?.lastArrival = [index: second, target: first]
    }

    /// Whoever was linked when the wait began, and still is over that link, must have the routes by now.
    private mutating func checkEstablished(_ waiter: UInt64, _ index: Int) {
        resolved += 1
        guard let wait = nodes[index].waits.removeValue(forKey: waiter) else {
            faults.append("n\(index): waiter \(waiter) was resolved twice")
            return
        }
        for link in wait.links {
            guard let connection = connections[link.value], isAlive(link.value, at: index), nodes[index].broker.peer(at: link) != nil else {
                continue
            }
            let peer = connection.other(index)
            guard isAlive(link.value, at: peer), nodes[peer].broker.peer(at: link) != nil else { continue }
            let missing = wait.flows.intersection(nodes[index].flows).subtracting(nodes[peer].routes[link] ?? [])
            if !missing.isEmpty { faults.append("n\(index): established, but n\(peer) lacks \(missing.sorted())") }
        }
    }
}
