import LLMgineBroker
import LLMgineBus
package import LLMgineCore
import LLMgineFlow
import LLMgineResilience
import LLMgineRouting
import LLMgineWire
import NIOCore

/// A subscription with its mailbox and its handler, as `Mailbox`, `Subscriber` and `RoomReturn` of the bus work together on one thread.
package final class SimulatedSubscription: SimulatedRoute {
    /// How the handler works.
    package enum Pace: Sendable {
        /// Everything at once, as soon as it is there.
        case fast
        /// One event in so many microseconds.
        case slow(Int)
        /// It does not return.
        case frozen
    }

    /// What else it may ask for.
    package struct Options: Sendable {
        /// Of the members of a group, one gets each event.
        package var group: String?
        /// Has its events at least once, if it is set.
        package var reliable: ReliableFlow?
        /// How many calls of the handler of a hundred fail.
        package var failures = 0
        /// The life of the leaf that it stands for.
        var relaysFor: ObjectIdentifier?
        package init() {}
    }

    private enum Item {
        case local(SimulatedMessage)
        case chunk(ReceivedChunk, InboundCredit, Passage, skip: Int)
        case reliable(ReliableDelivery)
    }

    package let id: UInt32
    unowned let node: SimulatedNode
    let filters: [TopicFilter]
    let capacity: Int
    let whenFull: WhenFull
    let options: Options
    private(set) var pace: Pace
    private(set) var isClosed = false
    private(set) var isDemoted = false
    private var lanes: [[Item]] = [[], [], [], []]
    /// Messages that wait or are being handled.
    private(set) var count = 0
    private var isHandling = false
    private var current: SimulatedEvent?
    private var waiters: [SimulatedPublisher] = []
    /// Takes an event in the place of a handler, and says when it is done with it.
    private let relay: ((SimulatedEvent, @escaping () -> Void) -> Void)?
    private(set) var inlet: SimulatedInlet?
    private(set) var spillLine: SimulatedSpillLine?
    /// What was published on this node.
    let own: Passage
    /// Events of this node that its disk did not give back.
    private(set) var unreadable = 0
    private(set) lazy var auditor = SimulatedAuditor(self)
    /// Failed calls are repeated so often and so soon.
    private let retries = RetryPolicy(maximumRetries: 2, initialDelay: .milliseconds(2), hasJitter: false)

    init(
        _ node: SimulatedNode, id: UInt32, filters: [TopicFilter], capacity: Int, whenFull: WhenFull, pace: Pace,
        options: Options = Options(),
        relay: ((SimulatedEvent, @escaping () -> Void) -> Void)? = nil
    ) {
        self.node = node
        self.id = id
        self.filters = filters
        self.capacity = capacity
        self.whenFull = whenFull
        self.pace = pace
        self.options = options
        self.relay = relay
        own = Passage(publisher: node)
        if options.reliable != nil { inlet = SimulatedInlet(self) }
        if case .spill(let maximumBytes) = whenFull { spillLine = makeSpillLine(maximumBytes) }
    }

    private var simulation: Simulation { node.simulation }
    var name: String { "\(node.name)/\(id)" }
    var group: String? { options.group }
    var relaysFor: ObjectIdentifier? { options.relaysFor }
    /// Whether it only passes events on.
    var isRelay: Bool { relay != nil }

    /// What each peer may have under way.
    var window: Credit { Credit(messages: UInt64(capacity), bytes: node.settings.windowBytes) }

    var entry: InterestEntry {
        InterestEntry(
            flow: id, kind: .events, filters: filters, group: group, whenFull: whenFull, windowMessages: window.messages,
            windowBytes: window.bytes, reliable: options.reliable)
    }

    func matches(_ topic: Topic) -> Bool { filters.contains { $0.matches(topic) } }

    // MARK: What comes in

    /// A message of this node.
    func offer(_ message: SimulatedMessage) -> SimulatedOffer {
        guard !isClosed else { return .taken }
        if spillLine?.order.isSpilling ?? false { return .full }
        if count >= capacity {
            switch whenFull {
            case .block where !isDemoted: return .full
            case .adaptiveRateLimit where !isDemoted: return .full
            case .spill: return .full
            case .rejectNew: return refused()
            case .block where inlet != nil: return refused()
            case .block, .adaptiveRateLimit, .dropOldest: evictOldest()
            case .conflate: if !evictSuperseded(by: message) { evictOldest() }
            }
        }
        own.accepted(message)
        enter(.local(message), 1, message.priority)
        return .taken
    }

    private func refused() -> SimulatedOffer {
        simulation.tally.rejected += 1
        return .taken
    }

    func room(for priority: Priority) -> Int { spillLine?.order.isSpilling ?? false ? 0 : capacity - count }

    /// What came over a link has reserved room.
    func deliver(_ chunk: ReceivedChunk, _ credit: InboundCredit, _ passage: Passage) {
        if isClosed { simulation.fault("a chunk of \(chunk.link.peer.name) reaches \(name) after its end") }
        enter(.chunk(chunk, credit, passage, skip: 0), chunk.index.count, chunk.priority)
    }

    /// One event that is to be acknowledged.
    func deliver(_ delivery: ReliableDelivery) { enter(.reliable(delivery), 1, delivery.priority) }

    private func enter(_ item: Item, _ messages: Int, _ priority: Priority) {
        lanes[Int(priority.rawValue)].append(item)
        count += messages
        wake()
    }

    /// The oldest of the least urgent class goes.
    private func evictOldest() {
        for lane in (0..<4).reversed() {
            guard let first = lanes[lane].first else { continue }
            count -= 1
            switch first {
            case .local(let message):
                own.evicted(message.number)
                lanes[lane].removeFirst()
            case .chunk(let chunk, let credit, let passage, let skip):
                let entry = chunk.index.entries[skip]
                passage.evicted(chunk.index.sequence(of: entry))
                advance(lane, chunk, credit, passage, to: skip + 1)
                credit.consumed(messages: 1, bytes: entry.payloadLength)
            case .reliable(let delivery): simulation.fault("\(name) is to let go of \(delivery.id), which it has not acknowledged")
            }
            simulation.tally.evicted += 1
            return
        }
    }

    /// The oldest goes that a newer one of its topic and class has superseded. Only what was published on this node is looked at.
    private func evictSuperseded(by coming: SimulatedMessage) -> Bool {
        for lane in (0..<4).reversed() {
            var topics: Set<UInt32> = coming.priority.rawValue == lane ? [coming.topicNumber] : []
            var oldest: (place: Int, number: UInt64)?
            for (place, item) in lanes[lane].enumerated().reversed() {
                guard case .local(let message) = item else { continue }
                if !topics.insert(message.topicNumber).inserted { oldest = (place, message.number) }
            }
            guard let oldest else { continue }
            lanes[lane].remove(at: oldest.place)
            own.evicted(oldest.number)
            count -= 1
            simulation.tally.evicted += 1
            return true
        }
        return false
    }

    private func advance(_ lane: Int, _ chunk: ReceivedChunk, _ credit: InboundCredit, _ passage: Passage, to next: Int) {
        if next < chunk.index.count {
            lanes[lane][0] = .chunk(chunk, credit, passage, skip: next)
        } else {
            lanes[lane].removeFirst()
        }
    }

    /// A publisher of this node waits until there is room.
    func await(_ publisher: SimulatedPublisher) -> Bool {
        waiters.append(publisher)
        return true
    }

    var holders: [PublisherHold.Holder] {
        guard count >= capacity, !isClosed, !isDemoted, let deadline = whenFull.blockDeadline else { return [] }
        return [PublisherHold.Holder(flow: 0, deadline: deadline)]
    }

    func demote(_ flows: [UInt32]) {
        isDemoted = true
        wakeWaiters()
    }

    private func wakeWaiters() {
        let all = waiters
        waiters = []
        for publisher in all { publisher.wake() }
    }

    // MARK: The disk

    func spill(_ message: SimulatedMessage, then done: @escaping () -> Void) -> Bool {
        guard let spillLine, !isClosed else { return false }
        spillLine.spill(message) { [self] isWritten in
            if isWritten { own.accepted(message) } else { simulation.tally.rejected += 1 }
            done()
        }
        return true
    }

    private func makeSpillLine(_ maximumBytes: Int) -> SimulatedSpillLine {
        SimulatedSpillLine(node, maximumBytes: maximumBytes) { [unowned self] record in
            guard count < capacity else { return false }
            let message = SimulatedMessage(record, at: simulation.now)
            enter(.local(message), 1, message.priority)
            return true
        } lose: { [unowned self] count in
            unreadable += count
        }
    }

    // MARK: The handler

    package func set(_ pace: Pace) {
        self.pace = pace
        wake()
    }

    private func wake() {
        guard !isHandling, count > 0, !isClosed else { return }
        let delay: Int
        switch pace {
        case .fast: delay = simulation.draw(200)
        case .slow(let microseconds): delay = microseconds
        case .frozen: return
        }
        isHandling = true
        simulation.plan(in: Int64(delay), on: node) { [self] in work() }
    }

    private func work() {
        guard !isClosed else { return }
        switch pace {
        case .fast: while let event = take() { guard handle(event, attempt: 1) else { return } }
        case .slow: if let event = take(), !handle(event, attempt: 1) { return }
        case .frozen: break
        }
        rested()
    }

    private func rested() {
        isHandling = false
        if count == 0 { isDemoted = false }
        if count <= capacity - max(1, capacity / 4) { wakeWaiters() }
        wake()
    }

    /// The next event. It counts until it is handled.
    private func take() -> SimulatedEvent? {
        guard let lane = lanes.firstIndex(where: { !$0.isEmpty }) else { return nil }
        switch lanes[lane][0] {
        case .local(let message):
            lanes[lane].removeFirst()
            current = SimulatedEvent(message, own)
        case .chunk(let chunk, let credit, let passage, let skip):
            advance(lane, chunk, credit, passage, to: skip + 1)
            current = SimulatedEvent(chunk, at: skip, credit, passage)
        case .reliable(let delivery):
            lanes[lane].removeFirst()
            current = SimulatedEvent(delivery)
        }
        return current
    }

    /// - Returns: false if it is not done with it.
    private func handle(_ event: SimulatedEvent, attempt: Int) -> Bool {
        if let relay {
            relay(event) { [self] in
                guard !isClosed || isFinishing else { return }
                auditor.passedOn(event)
                finished(event)
                rested()
            }
            return false
        }
        guard options.failures == 0 || !simulation.chance(options.failures) else { return failed(event, attempt: attempt) }
        auditor.handled(event)
        finished(event)
        return true
    }

    private func failed(_ event: SimulatedEvent, attempt: Int) -> Bool {
        let error = LLMgineError(.handlerFailed, "the handler throws")
        switch retries.decide(afterAttempt: attempt, error: error, random: 0) {
        case .giveUp:
            simulation.tally.buried += 1
            if simulation.broken != .losesDeadLetter { auditor.buried(event) }
            finished(event)
            return true
        case .retry(let delay):
            simulation.plan(in: delay.microseconds, on: node) { [self] in
                guard !isClosed, handle(event, attempt: attempt + 1) else { return }
                rested()
            }
            return false
        }
    }

    private func finished(_ event: SimulatedEvent) {
        current = nil
        count -= 1
        if let id = event.delivery?.id { inlet?.settled(id) }
        event.credit?.consumed(messages: 1, bytes: event.bytes)
        if count <= capacity - max(1, capacity / 4) { spillLine?.roomMade() }
    }

    // MARK: The end

    /// Whether it takes nothing more, and gives all it has to its relay before it ends.
    private(set) var isFinishing = false
    func finish() { isFinishing = true }

    /// Takes nothing any more; what is queued goes to the dead letters, or stays with whoever waits for an acknowledgement.
    func close() {
        isClosed = true
        for case .reliable(let delivery) in lanes.joined() { inlet?.returned(delivery.id) }
        if let id = current?.delivery?.id { inlet?.returned(id) }
        inlet?.ending()
        _ = spillLine?.end()
        current = nil
        lanes = [[], [], [], []]
        count = 0
        wakeWaiters()
    }
}
