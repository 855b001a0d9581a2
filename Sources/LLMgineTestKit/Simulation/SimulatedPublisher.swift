import LLMgineCore
import LLMgineLink
import NIOCore

/// A task that publishes one event after another, and waits where `publish` of the bus waits.
package final class SimulatedPublisher {
    unowned let node: SimulatedNode
    /// Nobody else publishes to these.
    let topics: [(number: UInt32, topic: Topic)]
    private var backlog: [(topic: Int, priority: Priority, bytes: Int)] = []
    private var current: Publication?
    private var isProceeding = false
    /// When it asks again whoever slows it.
    private var comesBack: Duration?
    /// How long it was held back in all.
    package private(set) var waited: Duration = .zero

    /// What is left to do for one event.
    private struct Publication {
        let message: SimulatedMessage
        let encoded: Message
        var remotes: [(link: SimulatedLink, flows: [UInt32])]
        var locals: [SimulatedSubscription]
        /// Until when it waits for the first of them.
        var end: Duration?
        var began: Duration
    }

    init(_ node: SimulatedNode, topics: [(number: UInt32, topic: Topic)]) {
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
            backlog.append((isElsewhere ? simulation.draw(topics.count) : topic, priority, simulation.draw(12...90)))
        }
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
                let next = backlog.removeFirst()
                current = begin(topics[next.topic], next.priority, next.bytes)
            }
            guard finishRemotes(), finishLocals() else { return }
            current = nil
        }
    }

    private func begin(_ topic: (number: UInt32, topic: Topic), _ priority: Priority, _ bytes: Int) -> Publication {
        let message = SimulatedMessage(
            number: node.nextSequence(), topicNumber: topic.number, topic: topic.topic, priority: priority, bytes: bytes)
        var payload = ByteBuffer()
        payload.writeInteger(message.number)
        payload.writeInteger(message.topicNumber)
        payload.writeRepeatingByte(0x55, count: bytes - payload.readableBytes)
        let encoded = Message(topic: topic.topic, payload: payload, priority: priority)
        var publication = Publication(message: message, encoded: encoded, remotes: [], locals: [], began: simulation.now)
        simulation.tally.published += 1
        for subscription in node.subscriptions(on: topic.topic) where !offer(message, to: subscription) {
            publication.locals.append(subscription)
        }
        for (link, flows) in node.remotes(on: topic.topic) where !offer(publication, to: link, flows) {
            publication.remotes.append((link, flows))
        }
        return publication
    }

    // MARK: One attempt

    /// - Returns: false if it has to wait.
    private func offer(_ message: SimulatedMessage, to subscription: SimulatedSubscription) -> Bool {
        switch subscription.offer(message) {
        case .full: return false
        case .accepted, .closed: return true
        case .rejected:
            simulation.tally.rejected += 1
            return true
        }
    }

    private func offer(_ publication: Publication, to link: SimulatedLink, _ flows: [UInt32]) -> Bool {
        switch link.append(publication.encoded, sequence: publication.message.number, to: flows) {
        case nil: return true
        case .full: return false
        case .paced(let rest):
            comeBack(at: simulation.now + rest)
            return false
        case .queued(let evicted, let rejected):
            link.evicted += evicted
            link.rejected += rejected
            simulation.tally.evicted += evicted
            simulation.tally.rejected += rejected
            if simulation.settings.isAudited {
                for flow in flows { link.passages[flow]?.accepted(publication.message) }
            }
            return true
        }
    }

    // MARK: Waiting

    /// Once, however often it is told to before.
    private func comeBack(at time: Duration) {
        if let comesBack, comesBack > simulation.now, comesBack <= time { return }
        comesBack = .microseconds(time.microseconds)
        simulation.plan(at: time.microseconds, on: node) { [self] in proceed() }
    }

    private func finishRemotes() -> Bool {
        while let publication = current, let (link, flows) = publication.remotes.first {
            if offer(publication, to: link, flows) {
                done()
                current?.remotes.removeFirst()
                continue
            }
            let end = until { link.outbox.blockDeadline(flows: flows) }
            if simulation.now >= end, simulation.broken != .neverDemotes {
                _ = link.update { $0.demoted(flows: flows) }
            } else if link.outbox.isTurningAway(flows: flows) {
                if !link.waiters.contains(where: { $0.publisher === self }) { link.waiters.append((self, flows)) }
                return false
            }
        }
        return true
    }

    private func finishLocals() -> Bool {
        while let publication = current, let subscription = publication.locals.first {
            if offer(publication.message, to: subscription) {
                done()
                current?.locals.removeFirst()
                continue
            }
            let end = until { subscription.whenFull.blockDeadline ?? .zero }
            if simulation.now >= end {
                subscription.demote()
            } else {
                subscription.await(self)
                return false
            }
        }
        return true
    }

    /// The end of the wait that begins now, or has begun.
    private func until(_ deadline: () -> Duration) -> Duration {
        if let end = current?.end { return end }
        let end = simulation.now + deadline()
        current?.end = end
        current?.began = simulation.now
        simulation.plan(at: end.microseconds, on: node) { [self] in proceed() }
        return end
    }

    private func done() {
        guard let publication = current, publication.end != nil else { return }
        let time = simulation.now - publication.began
        waited += time
        // A subscription may hold a publisher for one deadline, however slow it is.
        if let end = publication.end, simulation.now > end + .milliseconds(1), !node.wasPaused(since: publication.began) {
            simulation.fault("a publisher of \(node.name) was held back for \(time), past the deadline")
        }
        current?.end = nil
    }
}
