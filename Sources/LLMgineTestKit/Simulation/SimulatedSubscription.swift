import LLMgineCore
import LLMgineFlow
import LLMgineRouting
import LLMgineWire
import NIOCore

/// A subscription with its mailbox and its handler, as `Mailbox`, `Subscriber` and `RoomReturn` of the bus work together on one thread.
package final class SimulatedSubscription {
    /// How the handler works.
    package enum Pace: Sendable {
        /// Everything at once, as soon as it is there.
        case fast
        /// One event in so many microseconds.
        case slow(Int)
        /// It does not return.
        case frozen
    }

    private enum Item {
        case local(SimulatedMessage)
        case chunk(ReceivedChunk, InboundCredit, Passage, skip: Int)
    }

    package let id: UInt32
    unowned let node: SimulatedNode
    let filters: [TopicFilter]
    let capacity: Int
    let whenFull: WhenFull
    private(set) var pace: Pace
    private(set) var isClosed = false
    private(set) var isDemoted = false
    private var lanes: [[Item]] = [[], [], [], []]
    /// Messages that wait or are being handled.
    private(set) var count = 0
    private var isHandling = false
    private var waiters: [SimulatedPublisher] = []
    /// What was published on this node.
    let own: Passage
    /// The last message of each publisher, topic and class.
    private var last: [Source: UInt64] = [:]
    /// From so many messages on the credit goes back.
    private let quota: Int

    private struct Source: Hashable {
        let publisher: ObjectIdentifier
        let topic: UInt32
        let priority: Priority
    }

    init(_ node: SimulatedNode, id: UInt32, filters: [TopicFilter], capacity: Int, whenFull: WhenFull, pace: Pace) {
        self.node = node
        self.id = id
        self.filters = filters
        self.capacity = capacity
        self.whenFull = whenFull
        self.pace = pace
        own = Passage(publisher: node)
        quota = min(64, capacity / 16)
    }

    private var simulation: Simulation { node.simulation }

    /// What each peer may have under way.
    var window: Credit { Credit(messages: UInt64(capacity), bytes: node.settings.windowBytes) }

    var entry: InterestEntry {
        InterestEntry(
            flow: id, kind: .events, filters: filters, whenFull: whenFull, windowMessages: window.messages, windowBytes: window.bytes)
    }

    func matches(_ topic: Topic) -> Bool { filters.contains { $0.matches(topic) } }

    // MARK: What comes in

    enum Offer {
        case accepted(evicted: Int)
        case rejected, full, closed
    }

    /// A message of this node.
    func offer(_ message: SimulatedMessage) -> Offer {
        guard !isClosed else { return .closed }
        var evicted = 0
        if count >= capacity {
            switch whenFull {
            case .block where !isDemoted: return .full
            case .adaptiveRateLimit where !isDemoted: return .full
            case .spill: return .full  // there are no disks here
            case .rejectNew: return .rejected
            case .block, .adaptiveRateLimit, .dropOldest: evicted = evictOldest()
            case .conflate: evicted = evictSuperseded(by: message) ? 1 : evictOldest()
            }
        }
        own.accepted(message)
        enter(.local(message), 1, message.priority)
        return .accepted(evicted: evicted)
    }

    /// What came over a link has reserved room.
    func deliver(_ chunk: ReceivedChunk, _ credit: InboundCredit, _ passage: Passage) {
        if isClosed { simulation.fault("a chunk of \(chunk.link.peer.name) reaches \(name) after its end") }
        enter(.chunk(chunk, credit, passage, skip: 0), chunk.index.count, chunk.priority)
    }

    private func enter(_ item: Item, _ messages: Int, _ priority: Priority) {
        lanes[Int(priority.rawValue)].append(item)
        count += messages
        wake()
    }

    /// The oldest of the least urgent class goes.
    private func evictOldest() -> Int {
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
            }
            simulation.tally.evicted += 1
            return 1
        }
        return 0
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
    func await(_ publisher: SimulatedPublisher) { waiters.append(publisher) }

    func demote() {
        isDemoted = true
        wakeWaiters()
    }

    private func wakeWaiters() {
        let all = waiters
        waiters = []
        for publisher in all { publisher.wake() }
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
        simulation.plan(in: Int64(delay), on: node) { [self] in
            isHandling = false
            guard !isClosed else { return }
            work()
        }
    }

    private func work() {
        switch pace {
        case .fast: while count > 0, handleNext() {}
        case .slow: _ = handleNext()
        case .frozen: return
        }
        if count == 0 { isDemoted = false }
        if count <= capacity - max(1, capacity / 4) { wakeWaiters() }
        wake()
    }

    private func handleNext() -> Bool {
        guard let lane = lanes.firstIndex(where: { !$0.isEmpty }) else { return false }
        switch lanes[lane][0] {
        case .local(let message):
            lanes[lane].removeFirst()
            count -= 1
            handle(message.number, topic: message.topicNumber, message.priority, own)
        case .chunk(let chunk, let credit, let passage, let skip):
            let entry = chunk.index.entries[skip]
            advance(lane, chunk, credit, passage, to: skip + 1)
            count -= 1
            var payload = chunk.index.payload(of: entry)
            let number = payload.readInteger(as: UInt64.self)
            let topic = payload.readInteger(as: UInt32.self)
            if number != chunk.index.sequence(of: entry) { simulation.fault("\(name) got the payload of another message") }
            handle(number ?? 0, topic: topic ?? 0, chunk.priority, passage)
            credit.consumed(messages: 1, bytes: entry.payloadLength)
        }
        return true
    }

    private func handle(_ number: UInt64, topic: UInt32, _ priority: Priority, _ passage: Passage) {
        simulation.tally.delivered += 1
        guard simulation.settings.isAudited else { return }
        if let complaint = passage.deliver(number) {
            simulation.fault("message \(number) of \(passage.publisher.name) \(complaint) at \(name)")
        }
        let source = Source(publisher: ObjectIdentifier(passage.publisher), topic: topic, priority: priority)
        if let before = last[source], before >= number {
            simulation.fault("\(name) got message \(number) of \(passage.publisher.name) on topic \(topic) after \(before)")
        }
        last[source] = number
    }

    /// Takes nothing any more; what is queued goes to the dead letters.
    func close() {
        isClosed = true
        lanes = [[], [], [], []]
        count = 0
        wakeWaiters()
    }

    var name: String { "\(node.name)/\(id)" }
}
