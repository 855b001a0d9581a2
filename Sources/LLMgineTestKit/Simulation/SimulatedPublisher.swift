import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineRouting
import NIOCore

/// A task that publishes one event after another, and waits where `publish` of the bus waits.
package final class SimulatedPublisher {
    unowned let node: SimulatedNode
    /// Nobody else publishes to these. Empty for one that passes on what a leaf publishes.
    let topics: [UInt32]
    private var backlog: [Order] = []
    private var current: Publication?
    private var isProceeding = false
    private var isWriting = false
    /// When it asks again whoever slows it.
    private var comesBack: Duration?
    /// How long it was held back in all.
    package private(set) var waited: Duration = .zero

    /// Something to publish.
    struct Order {
        let topic: UInt32
        let priority: Priority
        var bytes = 0
        /// What a leaf has published, and whose it is.
        var relayed: (payload: ByteBuffer, origin: SimulatedOrigin)?
        /// Is called when it has been published.
        var done: (() -> Void)?
    }

    /// What is left to do for one event.
    private struct Publication {
        let message: SimulatedMessage
        var routes: [any SimulatedRoute] = []
        /// How long it waits for the first of them, and what it has been held back by for how long.
        var hold = PublisherHold()
        var held: [UInt32: Held] = [:]
        var began: Duration?
        /// When it looks after those that have had their time.
        var looks: Duration?
        let done: (() -> Void)?
    }

    /// A subscription that holds it back, by the simulation's own account.
    private struct Held {
        let since: Duration
        let deadline: Duration
    }

    init(_ node: SimulatedNode, topics: [UInt32]) {
        self.node = node
        self.topics = topics
    }

    package var isIdle: Bool { current == nil && backlog.isEmpty }

    private var simulation: Simulation { node.simulation }

    /// Publishes a number of events as fast as it may.
    package func publish(_ count: Int) {
        let topic = simulation.draw(topics.count)
        for _ in 0..<count {
            let priority: Priority = simulation.chance(80) ? .normal : simulation.pick(Priority.allCases) ?? .normal
            let isElsewhere = simulation.chance(15)
            backlog.append(
                Order(
                    topic: topics[isElsewhere ? simulation.draw(topics.count) : topic], priority: priority, bytes: simulation.draw(12...90))
            )
        }
        if current == nil { wake() }
    }

    /// Publishes what is ordered, after what was ordered before.
    func publish(_ order: Order) {
        backlog.append(order)
        if current == nil { wake() }
    }

    /// Goes on where it was, or with the next event.
    func wake() { simulation.plan(in: 0, on: node) { [self] in proceed() } }

    private func proceed() {
        guard !isProceeding else { return }
        isProceeding = true
        defer { isProceeding = false }
        while true {
            if current == nil {
                guard !backlog.isEmpty else { return }
                begin(backlog.removeFirst())
            }
            guard finish() else { return }
            let done = current?.done
            current = nil
            done?()
        }
    }

    // MARK: One event

    private func begin(_ order: Order) {
        let number = node.nextSequence()
        var payload = order.relayed?.payload ?? ByteBuffer()
        if order.relayed == nil {
            payload.writeInteger(number)
            payload.writeInteger(order.topic)
            payload.writeRepeatingByte(SimulatedPublisher.filling, count: order.bytes - payload.readableBytes)
            simulation.tally.published += 1
        }
        var encoded = Message(topic: Simulation.topic(order.topic), payload: payload, priority: order.priority)
        if let origin = order.relayed?.origin {
            encoded = encoded.stamped(with: origin.id)
            simulation.noteRelayed(number, by: node, of: origin)
        }
        let message = SimulatedMessage(
            number: number, topicNumber: order.topic, priority: order.priority, bytes: payload.readableBytes, encoded: encoded)
        current = Publication(message: message, done: order.done)
        let targets = node.targets(of: encoded.topic, from: order.relayed?.origin.life)
        var late: [any SimulatedRoute] = []
        for subscription in targets.locals where !isTaken(message, by: subscription) { late.append(subscription) }
        for route in targets.remotes where !isTaken(message, by: route) { current?.routes.append(route) }
        for (name, members) in targets.groups { choose(name, among: members, message) }
        current?.routes += late
    }

    static let filling: UInt8 = 0x55

    /// One member of a group gets it: whoever has room, in turn; else the one whose turn it is is waited for.
    private func choose(_ group: String, among members: [any SimulatedRoute], _ message: SimulatedMessage) {
        if simulation.broken == .forgetsGroup, simulation.chance(20) { return }
        let round = GroupRound(members: members.count, turn: node.nextTurn(of: group))
        var isTaken = false
        for index in round where members[index].room(for: message.priority) > 0 {
            guard self.isTaken(message, by: members[index]) else { continue }
            isTaken = true
            if simulation.broken != .servesWholeGroup { break }
        }
        if !isTaken { current?.routes.append(members[round.first]) }
    }

    /// One attempt. - Returns: false if it has to wait.
    private func isTaken(_ message: SimulatedMessage, by route: any SimulatedRoute) -> Bool {
        switch route.offer(message) {
        case .taken: return true
        case .full: return false
        case .paced(let rest):
            comeBack(at: simulation.now + rest)
            return false
        }
    }

    // MARK: Waiting

    /// Once, however often it is told to before.
    private func comeBack(at time: Duration) {
        if let comesBack, comesBack > simulation.now, comesBack <= time { return }
        comesBack = .microseconds(time.microseconds)
        simulation.plan(at: time.microseconds, on: node) { [self] in proceed() }
    }

    /// Gets the event to all that could not take it at once, one after the other. - Returns: false if it has to wait.
    private func finish() -> Bool {
        while !isWriting, let publication = current, let route = publication.routes.first {
            if isTaken(publication.message, by: route) {
                served()
                continue
            }
            if route.spill(publication.message, then: { [self] in written() }) {
                isWriting = true
                return false
            }
            if isHeld(by: route), route.await(self) { return false }
        }
        return !isWriting
    }

    /// Gives up on those that have had their time. - Returns: whether there are others to wait for.
    private func isHeld(by route: any SimulatedRoute) -> Bool {
        let now = simulation.now
        let holders = route.holders
        guard let end = current?.hold.end(of: holders, at: now) else { return false }
        if current?.began == nil { current?.began = now }
        check(holders)
        let overdue = current?.hold.overdue(holders, at: now) ?? []
        if !overdue.isEmpty, simulation.broken != .neverDemotes {
            route.demote(overdue)
            return false
        }
        let look = end > now ? end : end + .milliseconds(2)  // after it, only to find that a rule is broken
        if current?.looks != look, look > now {
            current?.looks = look
            simulation.plan(at: look.microseconds, on: node) { [self] in proceed() }
        }
        return true
    }

    /// A subscription may hold a publisher for its deadline, however slow it is, and whatever the deadlines of others are.
    private func check(_ holders: [PublisherHold.Holder]) {
        let now = simulation.now
        for holder in holders {
            guard let held = current?.held[holder.flow] else {
                current?.held[holder.flow] = Held(since: now, deadline: holder.deadline)
                continue
            }
            if now > held.since + held.deadline + .milliseconds(1), !node.wasPaused(since: held.since) {
                simulation.fault("a publisher of \(node.name) was held back for \(now - held.since), past the deadline of \(held.deadline)")
            }
        }
    }

    private func served() {
        done()
        current?.routes.removeFirst()
    }

    /// The event is on the disk, or was refused there.
    private func written() {
        isWriting = false
        served()
        proceed()
    }

    private func done() {
        guard let began = current?.began else { return }
        waited += simulation.now - began
        current?.began = nil
        current?.looks = nil
        current?.hold = PublisherHold()
        current?.held = [:]
    }
}
