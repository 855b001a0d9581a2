package import LLMgineCore

/// Whole nodes on a network that delays, cuts and stalls, in one thread, under one clock and one seed.
///
/// Whatever decides is what decides in production: link machine, outbox, credit, broker, request table, membership, what is kept until it is
/// acknowledged and what was acknowledged, deduplication, the turns of queue groups, the order of events on a disk, compression, and every frame as bytes
/// through the codec. Modelled are the sockets, the disks and what the shells do with threads: mailboxes, handlers, a publisher's `await`, and which
/// of them a node keeps for whom (`Outlets`, `Inlet`, `LeafRelay`, `Router`). A run is its seed: the same seed with the same settings takes the same
/// course, on every machine. After a run, ``faults`` says what went against a promise.
///
/// Not simulated: requests of leaves, the journal, permissions, moving a link to another connection, times to live.
package final class Simulation {
    package let seed: UInt64
    package let settings: SimulationSettings
    /// The rule that the nodes of this run break, to see whether it is noticed.
    package let broken: BrokenRule?
    /// The latest life on each host.
    package internal(set) var nodes: [SimulatedNode] = []
    /// What went against a promise, in the order of finding.
    package private(set) var faults: [String] = []
    package internal(set) var tally = Tally()
    /// What is drawn from here is the same in every run of the seed.
    package var random: SeededGenerator
    /// Since the start of the run.
    package private(set) var now: Duration = .zero

    private var calendar = Calendar()
    /// Tells the time that the processor has spent, in nanoseconds, if somebody wants to know what the first host costs.
    package var stopwatch: (() -> UInt64)?
    /// What everything that happened to the first host has taken, by the stopwatch.
    package private(set) var spent: UInt64 = 0

    /// Microseconds: cheaper to compare than `now`, which is the same.
    private(set) var time: Int64 = 0
    /// Ways on which bytes stand still, both ways apart.
    private var blocked: Set<Path> = []
    var wires: [SimulatedWire] = []
    /// All that ever ran, so that what is late finds its node.
    private var lives: [SimulatedNode] = []
    private var lastLink: UInt64 = 0
    private(set) lazy var zlib = SimulatedZlib()
    /// How many nodes of a hundred offer to compress.
    var compressing = 0
    /// Whose an event is that somebody has passed on.
    var relayed: [SimulatedHop: SimulatedOrigin] = [:]
    /// Which member of a queue group has handled an event.
    var groupHandlers: [GroupEvent: String] = [:]
    var rollCall: RollCall?

    /// From one host to another.
    struct Path: Hashable {
        let from: Int
        let to: Int
    }

    /// What can be compared: two runs of one seed have the same.
    package var course: String { "\(now) \(tally) \(faults)" }

    /// What a run did, to show that something happened.
    package struct Tally: Sendable {
        package var events = 0
        package var published = 0
        package var delivered = 0
        package var evicted = 0
        package var rejected = 0
        package var lostWithLinks = 0
        package var requests = 0
        package var answered = 0
        package var links = 0
        package var linksLost = 0
        package var bytes = 0
        package var established = 0
        /// Events that went to a disk.
        package var spilled = 0
        /// Events that came again and were not handled again.
        package var duplicates = 0
        /// Events whose handler failed to the last.
        package var buried = 0
        /// Events that hubs have passed on.
        package var relayed = 0
        /// Bytes that came out of compressed frames.
        package var inflated = 0

        package init() {}

        /// What two runs did together.
        package static func += (one: inout Tally, other: Tally) {
            one.events += other.events
            one.published += other.published
            one.delivered += other.delivered
            one.evicted += other.evicted
            one.rejected += other.rejected
            one.lostWithLinks += other.lostWithLinks
            one.requests += other.requests
            one.answered += other.answered
            one.links += other.links
            one.linksLost += other.linksLost
            one.bytes += other.bytes
            one.established += other.established
            one.spilled += other.spilled
            one.duplicates += other.duplicates
            one.buried += other.buried
            one.relayed += other.relayed
            one.inflated += other.inflated
        }
    }

    package init(seed: UInt64, settings: SimulationSettings = SimulationSettings(), broken: BrokenRule? = nil) {
        self.seed = seed
        self.settings = settings
        self.broken = broken
        random = SeededGenerator(seed: seed)
    }

    // MARK: Time

    /// Lets everything happen that is due within the time.
    package func run(for duration: Duration) {
        let end = time + duration.microseconds
        while let next = calendar.takeFirst(until: end) {
            turn(to: next.at)
            tally.events += 1
            guard let node = next.node else {
                next.action()
                continue
            }
            if let stopwatch, node.host == 0 {
                let start = stopwatch()
                node.meet(next.action)
                spent += stopwatch() - start
            } else {
                node.meet(next.action)
            }
        }
        turn(to: end)
    }

    private func turn(to time: Int64) {
        guard time != self.time else { return }
        self.time = time
        now = .microseconds(time)
    }

    /// Has something happen later, to a node unless it is gone by then; a node that is stopped meets it when it goes on.
    func plan(in microseconds: Int64, on node: SimulatedNode? = nil, _ action: @escaping () -> Void) {
        plan(at: time + microseconds, on: node, action)
    }

    func plan(at time: Int64, on node: SimulatedNode? = nil, _ action: @escaping () -> Void) {
        calendar.add(at: max(time, self.time), node, action)
    }

    // MARK: Chance

    /// A number below the bound.
    package func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(max(1, bound))) }
    package func draw(_ range: ClosedRange<Int>) -> Int { range.lowerBound + draw(range.count) }
    package func chance(_ percent: Int) -> Bool { draw(100) < percent }
    package func pick<Value>(_ values: [Value]) -> Value? { values.isEmpty ? nil : values[draw(values.count)] }
    func fraction() -> Double { Double(random.next() >> 11) / Double(1 << 53) }

    // MARK: The network

    func nextLink() -> UInt64 {
        lastLink += 1
        return lastLink
    }

    func isBlocked(from: Int, to: Int) -> Bool { !blocked.isEmpty && blocked.contains(Path(from: from, to: to)) }

    /// Bytes stand still on the way, as if a cable was pulled: nobody is told.
    package func block(from: Int, to: Int) { blocked.insert(Path(from: from, to: to)) }

    /// Every way is open again: what stood still goes on.
    package func unblock() {
        blocked.removeAll()
        for wire in wires where !wire.isCut { wire.unblocked() }
    }

    /// Breaks a connection: both ends are told, each in its own time.
    package func cutSomething() { pick(wires.filter { !$0.isOver })?.cut() }

    /// Somebody who got into a connection writes what breaks the protocol.
    package func taintSomething() {
        guard let wire = pick(wires.filter { !$0.isOver && $0.isEstablished }) else { return }
        wire.taint(by: draw(2))
    }

    // MARK: Hosts

    package static func address(_ host: Int) -> String { "h\(host):1" }

    /// Starts a node on a host of its own.
    @discardableResult
    package func start(_ name: NodeID, incarnation: UInt64? = nil, isLeaf: Bool = false) -> SimulatedNode {
        let node = SimulatedNode(
            self, host: nodes.count, name: name, incarnation: Incarnation(incarnation ?? UInt64(1000 + nodes.count)), isLeaf: isLeaf)
        nodes.append(node)
        lives.append(node)
        node.start()
        return node
    }

    /// Starts a later life of a node that has ended. - Parameter incarnation: by default one more than the last.
    package func restart(_ host: Int, incarnation: UInt64? = nil) {
        let last = nodes[host]
        guard !last.isAlive else { return }
        let node = SimulatedNode(
            self, host: host, name: last.name, incarnation: Incarnation(incarnation ?? last.incarnation.value + 1_000_000),
            isLeaf: last.isLeaf)
        nodes[host] = node
        lives.append(node)
        node.start()
    }

    /// Who listens at an address.
    func listener(at address: String) -> SimulatedNode? { nodes.first { $0.isAlive && $0.address == address } }

    /// Notes what went against a promise.
    func fault(_ text: @autoclosure () -> String) {
        guard faults.count < 20 else { return }
        faults.append("[\(now)] \(text())")
    }
}

extension Duration {
    var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
