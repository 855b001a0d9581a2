import LLMgineBroker
import LLMgineCore
import LLMgineMembership

/// What goes wrong in a run.
package enum SimulatedTrouble: String, Sendable, CaseIterable {
    /// Nothing but subscribers that do not return.
    case frozenSubscribers
    /// Connections are reset.
    case cutLinks
    /// Ways are blocked, in one direction or both, and nobody is told.
    case silentLinks
    /// One connection is reset again and again, as often as it comes back.
    case flappingLinks
    /// The hosts fall into two parts, between which nothing passes.
    case partitions
    /// Clocks go ahead.
    case clockSteps
    /// Processes are killed, leave, and come back.
    case restarts
    /// Processes are stopped and go on.
    case stoppedProcesses
    /// Bytes are not what was sent.
    case corruption
    /// A second process has the name of another.
    case duplicateIdentity
    /// All of it.
    case everything
}

extension Simulation {
    /// One short run: nodes start, do things at random while trouble strikes, become quiet, and are checked.
    /// - Parameter nodes: how many; by default 2 to 4.
    package static func run(
        seed: UInt64, nodes: Int? = nil, steps: Int? = nil, trouble: SimulatedTrouble? = nil, broken: BrokenRule? = nil
    ) -> Simulation {
        let simulation = Simulation(seed: seed, broken: broken)
        let kinds = SimulatedTrouble.allCases
        let trouble = trouble ?? kinds[Int(seed % UInt64(kinds.count))]
        let count = nodes ?? (trouble == .duplicateIdentity ? 3 : simulation.pick([2, 2, 2, 3, 3, 4]) ?? 2)
        simulation.compressing = simulation.pick([0, 0, 60, 100]) ?? 0
        for host in 0..<count { simulation.start(NodeID(stringLiteral: "n\(host)")) }
        if simulation.chance(20) { simulation.start("leaf", isLeaf: true) }
        simulation.run(for: .milliseconds(simulation.draw(20...200)))
        for host in simulation.nodes.indices { simulation.furnish(host) }
        for _ in 0..<(steps ?? simulation.draw(5...11)) {
            simulation.act()
            if simulation.chance(35) { simulation.strike(trouble) }
            simulation.run(for: .milliseconds(simulation.chance(90) ? simulation.draw(40) : simulation.draw(900)))
            simulation.checkBounds()
        }
        simulation.settle()
        return simulation
    }

    /// Ends all trouble, waits until everything is quiet, and checks what must hold then.
    package func settle() {
        unblock()
        for node in nodes {
            node.proceed()
            for subscription in node.ownSubscriptions { subscription.set(.fast) }
        }
        stopClones()
        let end = now + .seconds(60)
        var isQuiet = false
        while !isQuiet, now < end {
            // Also those that were about to leave.
            for host in nodes.indices where !nodes[host].isAlive && !isClone(host) { restart(host) }
            run(for: .milliseconds(100))
            guard unrest.isEmpty else { continue }
            run(for: .milliseconds(60))
            isQuiet = unrest.isEmpty
        }
        for trouble in unrest { fault("a minute later: \(trouble)") }
        if isQuiet { callRoll() }
        checkBounds()
        checkAccounts()
    }

    /// Gives a node a publisher, some subscriptions and maybe a responder.
    private func furnish(_ host: Int) {
        let node = nodes[host]
        node.addPublisher(Simulation.topics(of: host))
        for _ in 0..<draw(3) { subscribe(node) }
        if !node.isLeaf, chance(50) { node.respond(TopicFilter(stringLiteral: "q\(draw(2)).>"), concurrency: draw(1...3)) }
    }

    private func subscribe(_ node: SimulatedNode) {
        let all: [TopicFilter] = ["t0.>", "t1.*", ">", "t2.h0", "t0.h1", "*.h0"]
        var filters = [pick(all) ?? ">"]
        if chance(20) { filters.append(pick(all) ?? ">") }
        let deadline = WhenFull.block(deadline: .milliseconds(draw(1...400)))
        var options = SimulatedSubscription.Options()
        if !node.isLeaf {
            if chance(25) { options.reliable = reliability(of: node) }
            if options.reliable != nil, chance(40) { options.failures = 30 }
            if options.reliable == nil, chance(25) { options.group = "g\(draw(2))" }
        }
        let isFast = chance(options.reliable == nil ? 60 : 30)
        let pace: SimulatedSubscription.Pace = isFast ? .fast : chance(50) ? .slow(draw(500...60_000)) : .frozen
        let policy = options.reliable == nil ? policy(deadline, of: node) : deadline
        node.subscribe(filters, capacity: draw(1...8), whenFull: policy, pace: pace, options: options)
    }

    private func policy(_ deadline: WhenFull, of node: SimulatedNode) -> WhenFull {
        var policies: [WhenFull] = [
            deadline, .dropOldest, .rejectNew, .adaptiveRateLimit(deadline: .milliseconds(draw(1...400))), .conflate(by: .topic),
        ]
        if !node.isLeaf { policies.append(.spill(maximumBytes: draw(200...1500))) }
        return pick(policies) ?? .dropOldest
    }

    /// Every second one has a name, by which it is known again after a restart.
    private func reliability(of node: SimulatedNode) -> ReliableFlow {
        let isNamed = chance(50) && !node.subscriptions.contains { $0.options.reliable?.name == "jobs" }
        return ReliableFlow(name: isNamed ? "jobs" : "", retention: .milliseconds(draw(500...3000)))
    }

    /// Somebody does something.
    private func act() {
        guard let node = pick(nodes.filter { $0.isAlive && !$0.isPaused }) else { return }
        switch draw(node.isLeaf ? 66 : 100) {
        case 0..<12: subscribe(node)
        case 12..<20: if let subscription = pick(node.ownSubscriptions) { node.unsubscribe(subscription) }
        case 20..<26: node.establish()
        case 26..<66: pick(node.publishers)?.publish(draw(1...12))
        case 66..<84: for _ in 0..<draw(1...3) { request(from: node) }
        case 84..<88: node.respond(TopicFilter(stringLiteral: "q\(draw(2)).>"), concurrency: draw(1...3))
        case 88..<90: node.stopResponding()
        default:
            let paces: [SimulatedSubscription.Pace] = [.fast, .slow(draw(500...60_000)), .frozen]
            pick(node.ownSubscriptions)?.set(pick(paces) ?? .fast)
        }
    }

    private func request(from node: SimulatedNode) {
        node.request(Topic(stringLiteral: "q\(draw(2)).x"), within: .milliseconds(draw(5...1500)), patience: 90)
    }

    private func strike(_ trouble: SimulatedTrouble) {
        switch trouble {
        case .frozenSubscribers: pick(pick(nodes)?.ownSubscriptions ?? [])?.set(.frozen)
        case .cutLinks: cutSomething()
        case .flappingLinks: for _ in 0..<draw(2...5) { plan(in: Int64(draw(150_000))) { [self] in cutSomething() } }
        case .partitions:
            if chance(30) { return unblock() }
            let part = nodes.indices.filter { _ in chance(50) }
            for one in part {
                for other in nodes.indices where !part.contains(other) {
                    block(from: one, to: other)
                    block(from: other, to: one)
                }
            }
        case .clockSteps: pick(nodes)?.stepClock(by: .milliseconds(draw(chance(50) ? 500 : 20_000)))
        case .silentLinks:
            if chance(30) { return unblock() }
            let from = draw(nodes.count)
            let to = draw(nodes.count)
            if from != to { block(from: from, to: to) }
            if chance(60), from != to { block(from: to, to: from) }
        case .restarts: strikeProcess()
        case .stoppedProcesses:
            if let stopped = pick(nodes.filter(\.isPaused)), chance(60) { stopped.proceed() } else { pick(nodes)?.pause() }
        case .corruption: taintSomething()
        case .duplicateIdentity: if nodes.count < 6 { startClone() }
        case .everything: strike(SimulatedTrouble.allCases[draw(SimulatedTrouble.allCases.count - 1)])  // it is the last
        }
    }

    private func strikeProcess() {
        let dead = nodes.indices.filter { !nodes[$0].isAlive && !isClone($0) }
        if let host = pick(dead), chance(60) {
            restart(host)
            furnish(host)
        } else if let node = pick(nodes) {
            if chance(60) { node.kill() } else { node.leave() }
        }
    }

    /// Another process takes the name of a node, at an address of its own. The newer life wins.
    private func startClone() {
        // The first host stays what it is: it is the seed that everybody finds the cluster by.
        guard let original = pick(nodes.filter { $0.isAlive && $0.host > 0 && !$0.isLeaf }) else { return }
        // Also what one of them has taken since, to be heard after another that left.
        let lives = nodes.filter { $0.name == original.name }.flatMap { [$0.incarnation.value, $0.broker.members.own.incarnation.value] }
        let later = (lives.max() ?? 1) + 1
        let earlier = (lives.min() ?? 1) - 1
        start(original.name, incarnation: chance(70) ? later : earlier)
    }

    /// The operator stops all processes of a name but the newest.
    private func stopClones() {
        for node in nodes where node.isAlive {
            if nodes.contains(where: { $0.isAlive && $0.name == node.name && $0.incarnation > node.incarnation }) { node.kill() }
        }
    }

    /// Whether a later process has the name of what ran on a host.
    private func isClone(_ host: Int) -> Bool { nodes.contains { $0.host != host && $0.name == nodes[host].name } }
}
