import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineRouting
import LLMgineWire

/// What one life of a publisher keeps for one subscription of another node that has its events at least once: `Outlet` of the node around the real
/// window, with the rules of `Outlets` for what becomes of it.
final class SimulatedOutlet: SimulatedRoute {
    unowned let node: SimulatedNode
    let peer: NodeID
    private(set) var incarnation: Incarnation
    private(set) var entry: InterestEntry
    private var window: RetransmitWindow<SimulatedMessage>
    private(set) var link: SimulatedLink?
    private(set) var epoch = 0
    private var fruitless = 0
    private var isFruitful = false
    private var isResting = false
    private(set) var isWithdrawn = false
    private(set) var isEnded = false
    /// Whether nothing new goes to it.
    private(set) var isForgotten = false
    private var isDemoted = false
    private var hasTurnedAway = false
    private var waiters: [SimulatedPublisher] = []
    /// Every event that was taken in, and what became of it.
    let account: ReliableAccount

    static let grace = Duration.seconds(2)
    static let firstRest = Duration.milliseconds(50)
    static let longestRest = Duration.seconds(5)

    init(_ node: SimulatedNode, _ entry: InterestEntry, of peer: NodeID, _ incarnation: Incarnation) {
        self.node = node
        self.entry = entry
        self.peer = peer
        self.incarnation = incarnation
        account = ReliableAccount(publisher: node)
        window = RetransmitWindow(limits: .init(messages: node.settings.queueMessages * 2, bytes: node.settings.queueBytes * 2))
    }

    private var simulation: Simulation { node.simulation }
    var count: Int { window.messages }
    var isAttached: Bool { link != nil && !isWithdrawn }
    var isNamed: Bool { !(entry.reliable?.name.isEmpty ?? true) }
    var limit: Int { window.limits.messages }
    var name: String { "\(peer)/\(entry.flow)" }
    func matches(_ topic: Topic) -> Bool { !isEnded && entry.filters.contains { $0.matches(topic) } }

    // MARK: Publishing

    func offer(_ message: SimulatedMessage) -> SimulatedOffer {
        guard !isEnded else { return .taken }
        guard window.hasRoom(for: message.bytes + 128) else {
            guard !isDemoted, entry.whenFull.blockDeadline != nil else {
                simulation.tally.rejected += 1
                return .taken
            }
            hasTurnedAway = true
            return .full
        }
        account.accepted(message)
        window.append(message, bytes: message.bytes + 128, priority: message.priority)
        pump()
        return .taken
    }

    func await(_ publisher: SimulatedPublisher) -> Bool {
        guard hasTurnedAway, !isEnded, !isDemoted else { return false }
        if !waiters.contains(where: { $0 === publisher }) { waiters.append(publisher) }
        return true
    }

    var holders: [PublisherHold.Holder] {
        guard hasTurnedAway, !isEnded, !isDemoted, let deadline = entry.whenFull.blockDeadline else { return [] }
        return [PublisherHold.Holder(flow: entry.flow, deadline: deadline)]
    }

    func demote(_ flows: [UInt32]) {
        guard hasTurnedAway else { return }
        isDemoted = true
        wakeWaiters()
    }

    func room(for priority: Priority) -> Int {
        guard let link, !isWithdrawn, !isResting else { return 0 }
        return min(window.limits.messages - window.messages, link.outbox.room(flow: entry.flow, priority))
    }

    private func wakeWaiters() {
        let all = waiters
        waiters = []
        for publisher in all { publisher.wake() }
    }

    /// Sends what is unsent as far as the link takes it.
    private func pump() {
        guard let link, !isResting, !isWithdrawn else { return }
        for priority in Priority.allCases {
            lane: while let message = window.unsent(priority) {
                switch link.append(message.encoded, sequence: message.number, to: [entry.flow], expires: false) {
                case .queued(_, 0): window.noteSent(priority)
                case .queued, .full, .paced, .nobody: break lane  // the next acknowledgement brings us back
                case nil: return
                }
            }
        }
    }

    // MARK: Links

    /// The subscription is there: over a new link, or in a new life of its node.
    func attach(_ entry: InterestEntry, over link: SimulatedLink) {
        link.update {
            $0.opened(
                flow: entry.flow, whenFull: .block(deadline: .seconds(86_400)),
                window: Credit(messages: entry.windowMessages, bytes: entry.windowBytes))
        }
        if self.link != nil { leave() }
        self.entry = entry
        incarnation = link.peer.incarnation
        self.link = link
        isWithdrawn = false
        isForgotten = false
        isFruitful = false
        epoch += 1
        guard fruitless > 0, !window.isEmpty else {
            isResting = false
            return pump()
        }
        isResting = true
        let rest = min(SimulatedOutlet.firstRest * (1 << min(fruitless - 1, 10)), SimulatedOutlet.longestRest)
        simulation.plan(in: rest.microseconds, on: node) { [self, epoch] in
            guard self.epoch == epoch, isResting else { return }
            isResting = false
            pump()
        }
    }

    /// The link is gone. - Returns: whether it hung on it.
    func linkEnded(_ link: SimulatedLink) -> Bool {
        guard self.link === link else { return false }
        leave()
        return true
    }

    private func leave() {
        link = nil
        isResting = false
        epoch += 1
        fruitless = isFruitful || window.isEmpty ? 0 : fruitless + 1
        if simulation.broken != .sendsOnce { window.restart() }
    }

    /// The subscription was withdrawn while the link is up.
    func withdraw() {
        isWithdrawn = true
        epoch += 1
    }

    /// Nothing new goes to it.
    func forget() { isForgotten = true }

    /// Nobody will take what is left: it goes to the dead letters.
    func end() {
        isEnded = true
        isForgotten = true
        link = nil
        epoch += 1
        for message in window.removeAll() { account.buried(message.number) }
        wakeWaiters()
    }

    /// The subscriber has settled some.
    func acknowledged(_ frame: AckFrame, over link: SimulatedLink) throws(LLMgineError) {
        guard self.link === link, entry.flow == frame.flow else { return }
        let settled = try window.acknowledged(Acknowledgement(upTo: frame.upTo, beyond: frame.beyond), priority: frame.priority)
        if !settled.isEmpty { isFruitful = true }
        pump()
        guard hasTurnedAway, window.isHalfEmpty else { return }
        hasTurnedAway = false
        isDemoted = false
        wakeWaiters()
    }
}

/// Every event that was taken in for a subscription which has its events at least once, and whether it was processed or given up to be seen.
final class ReliableAccount {
    unowned let publisher: SimulatedNode
    private var open: Set<UInt64> = []
    private var known: Set<UInt64> = []

    init(publisher: SimulatedNode) { self.publisher = publisher }

    /// Events of which nobody knows what became.
    var pending: [UInt64] { open.sorted() }

    func accepted(_ message: SimulatedMessage) {
        open.insert(message.number)
        known.insert(message.number)
    }

    /// - Returns: false if it was never taken in.
    func processed(_ number: UInt64) -> Bool {
        open.remove(number)
        return known.contains(number)
    }

    /// It is in the dead letters.
    func buried(_ number: UInt64) { open.remove(number) }
}
