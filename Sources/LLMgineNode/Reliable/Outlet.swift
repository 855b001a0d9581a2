import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineRouting
import LLMgineTransport
import LLMgineWire
import NIOCore
import Synchronization

/// The way to one subscription of another node that has its events at least once: keeps each until it is acknowledged.
///
/// ```
/// attached ─ linkEnded ─► away ─ attached (the same flow, or one of the same name) ─► attached
///     └─ withdrawn ─► ending ─ the same name, or the retention is over        └─ the retention is over ─► ended
/// ```
/// It takes events while the subscriber is away too, as long as there is room. What it keeps counts: a full outlet holds publishers up as a
/// full queue does, and after the deadline it refuses new events instead of letting old ones go.
final class Outlet: RemoteRoute {
    /// How long the first repetition over a new link waits that follows a link over which nothing was acknowledged; doubles up to the maximum.
    static let firstRest = Duration.milliseconds(50)
    static let longestRest = Duration.seconds(5)

    let peer: NodeID
    private let limits: WireLimits
    let services: OutletServices
    let state: Mutex<State>

    struct State {
        var entry: InterestEntry
        var incarnation: Incarnation
        var window: RetransmitWindow<Parcel>
        /// What the window has of the node's memory.
        var lease = WindowLease()
        var link: PeerLink?
        /// What the peer was allowed when it was last here.
        var grant: TopicGrant?
        /// Changes whenever it is attached, left alone or ended: what was planned before is void.
        var epoch: UInt64 = 0
        /// Links in a row over which nothing was acknowledged of what was kept.
        var fruitless = 0
        /// Whether something was acknowledged over the present one.
        var isFruitful = false
        /// Whether it rests before it sends over the new link.
        var isResting = false
        /// Whether the subscription was withdrawn: nothing more is sent, acknowledgements still come.
        var isWithdrawn = false
        var isEnded = false
        /// Whether publishers no longer wait for it.
        var isDemoted = false
        var hasTurnedAway = false
        /// Counts what shows that it is not stuck: acknowledgements, and times that it began to turn publishers away.
        var turn: UInt64 = 0
        var waiters: [(id: UInt64, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextWaiter: UInt64 = 0
    }

    /// One event that is kept.
    struct Parcel: Sendable {
        var message: Message
        let sequence: UInt64
        let expires: ContinuousClock.Instant?
    }

    init(_ entry: InterestEntry, of peer: NodeID, _ incarnation: Incarnation, limits: WireLimits, services: OutletServices) {
        self.peer = peer
        self.limits = limits
        self.services = services
        state = Mutex(State(entry: entry, incarnation: incarnation, window: RetransmitWindow(limits: services.limits)))
    }

    var entry: InterestEntry { state.withLock { $0.entry } }
    var incarnation: Incarnation { state.withLock { $0.incarnation } }
    var isAttached: Bool { state.withLock { $0.link != nil && !$0.isWithdrawn } }
    var isWithdrawn: Bool { state.withLock { $0.isWithdrawn } }
    var isEnded: Bool { state.withLock { $0.isEnded } }
    /// Events that are not acknowledged.
    var count: Int { state.withLock { $0.window.messages } }

    /// What receipts and dead letters call the subscription.
    var name: String {
        let entry = entry
        let own = entry.reliable?.name ?? ""
        return "\(peer)/\(own.isEmpty ? String(entry.flow) : own)"
    }

    /// What a journal calls the subscription.
    var obligation: String? {
        let (entry, incarnation) = state.withLock { ($0.entry, $0.incarnation) }
        if let group = entry.group { return JournalName.group(group) }
        let own = entry.reliable?.name ?? ""
        return own.isEmpty ? JournalName.flow(entry.flow, on: peer, incarnation) : JournalName.subscription(own, on: peer)
    }

    // MARK: Publishing

    func mayReceive(_ topic: Topic) -> Bool { state.withLock { $0.grant?.subscribe.permits(topic) ?? true } }

    func offer(_ message: borrowing Message, sequence: UInt64) -> RemoteOffer {
        do throws(LLMgineError) { _ = try MessageWriter.Measure(message, limits: limits) } catch { return .failed(error) }
        let parcel = Parcel(message: copy message, sequence: sequence, expires: message.timeToLive.map { .now + $0 })
        let (offer, lost) = state.withLock { state -> (RemoteOffer, [Undeliverable]) in
            guard !state.isEnded else { return (.closed, []) }
            let bytes = parcel.bytes
            guard state.window.hasRoom(for: bytes), hasMemory(for: bytes, &state) else {
                guard !state.isDemoted, state.entry.whenFull.blockDeadline != nil else { return (.refused, []) }
                if !state.hasTurnedAway { state.turn &+= 1 }
                state.hasTurnedAway = true
                return (.full, [])
            }
            state.window.append(parcel, bytes: bytes, priority: parcel.message.priority)
            return (.accepted(evicted: 0, rejected: 0), state.pump())
        }
        gaveUp(lost)
        return offer
    }

    /// Takes what another member of its group could not deliver, over its limits if need be.
    func take(over parcels: [Parcel]) {
        let lost = state.withLock { state in
            for parcel in parcels { state.window.append(parcel, bytes: parcel.bytes, priority: parcel.message.priority) }
            if !state.lease.covers(state.window.bytes) {
                services.office.change { state.lease.force(to: state.window.bytes, in: &$0) }
            }
            return state.pump()
        }
        gaveUp(lost)
    }

    func waitForRoom(_ onRegistered: (UInt64) -> Void) async -> Bool {
        await withCheckedContinuation { continuation in
            let id: UInt64? = state.withLock { state in
                guard state.hasTurnedAway, !state.isEnded, !state.isDemoted else { return nil }
                state.nextWaiter += 1
                state.waiters.append((state.nextWaiter, continuation))
                return state.nextWaiter
            }
            if let id { onRegistered(id) } else { continuation.resume(returning: true) }
        }
    }

    func giveUp(_ waiter: UInt64) {
        let continuation = state.withLock { state in
            state.waiters.firstIndex { $0.id == waiter }.map { state.waiters.remove(at: $0).continuation }
        }
        continuation?.resume(returning: false)
    }

    var holders: [PublisherHold.Holder] {
        state.withLock { state in
            guard state.hasTurnedAway, !state.isEnded, !state.isDemoted, let deadline = state.entry.whenFull.blockDeadline else {
                return []
            }
            return [PublisherHold.Holder(flow: state.entry.flow, deadline: deadline, turn: state.turn)]
        }
    }

    func demote(_ flows: [UInt32]) -> [String] {
        let (isNew, waiters) = state.withLock { state -> (Bool, [CheckedContinuation<Bool, Never>]) in
            guard state.hasTurnedAway else { return (false, []) }
            state.isDemoted = true
            return (true, state.takeWaiters())
        }
        for waiter in waiters { waiter.resume(returning: true) }
        return isNew ? [name] : []
    }

    func credit(for priority: Priority) -> Int {
        state.withLock { state in
            guard let link = state.link, !state.isWithdrawn, !state.isResting else { return 0 }
            let flow = state.entry.flow
            return min(state.window.limits.messages - state.window.messages, link.connection.read { $0.room(flow: flow, priority) })
        }
    }

    // MARK: Links

    /// The subscription is there: over a new link, or in a new life of its node. - Returns: how long to rest before ``resume(_:)``, nil for not at all.
    func attach(_ entry: InterestEntry, over link: PeerLink) -> (rest: Duration, epoch: UInt64)? {
        link.connection.update { outbox in
            outbox.opened(
                flow: entry.flow, whenFull: .block(deadline: .seconds(86_400)),
                window: Credit(messages: entry.windowMessages, bytes: entry.windowBytes))
        }
        let (rest, lost) = state.withLock { state -> ((rest: Duration, epoch: UInt64)?, [Undeliverable]) in
            if state.link != nil { state.leave() }
            state.entry = entry
            state.incarnation = link.hello.incarnation
            state.link = link
            state.grant = link.grant
            state.isWithdrawn = false
            state.isFruitful = false
            state.epoch += 1
            guard state.fruitless > 0, !state.window.isEmpty else {
                state.isResting = false
                return (nil, state.pump())
            }
            state.isResting = true
            let rest = min(Outlet.firstRest * (1 << min(state.fruitless - 1, 10)), Outlet.longestRest)
            return ((rest, state.epoch), [])
        }
        gaveUp(lost)
        return rest
    }

    /// It has rested.
    func resume(_ epoch: UInt64) {
        let lost = state.withLock { state -> [Undeliverable] in
            guard state.epoch == epoch, state.isResting else { return [] }
            state.isResting = false
            return state.pump()
        }
        gaveUp(lost)
    }

    /// The link is gone. - Returns: what ``isAway(since:)`` is asked with when the retention is over; nil if it hung on another link.
    func linkEnded(_ link: PeerLink) -> UInt64? {
        state.withLock { state in
            guard state.link === link else { return nil }
            state.leave()
            return state.epoch
        }
    }

    /// The subscription was withdrawn while the link is up. - Returns: as ``linkEnded(_:)``.
    func withdraw() -> UInt64 {
        state.withLock { state in
            state.isWithdrawn = true
            state.epoch += 1
            return state.epoch
        }
    }

    /// Whether nothing has happened to it since.
    func isUnchanged(since epoch: UInt64) -> Bool { state.withLock { $0.epoch == epoch && !$0.isEnded } }

    /// Nobody will take what is left. - Returns: that.
    func end() -> [Parcel] {
        let (parcels, waiters) = state.withLock { state in
            state.isEnded = true
            state.link = nil
            state.epoch += 1
            return (state.window.removeAll(), state.takeWaiters())
        }
        for waiter in waiters { waiter.resume(returning: false) }
        services.office.forget(self)
        ticked()  // it is empty now
        services.office.serve()
        return parcels
    }

    /// Takes out what is left, to go to another member of the group.
    func handOver() -> [Parcel] {
        let (parcels, waiters) = state.withLock { state in
            let parcels = state.window.removeAll()
            return (parcels, state.noteRoom())
        }
        for waiter in waiters { waiter.resume(returning: true) }
        ticked()
        return parcels
    }

    /// The subscriber has settled some. - Throws: `malformedFrame`.
    func acknowledged(_ frame: AckFrame, over link: PeerLink) throws(LLMgineError) {
        let result = state.withLock { state -> Result<Progress, LLMgineError> in
            guard state.link === link, state.entry.flow == frame.flow else { return .success(Progress()) }
            do throws(LLMgineError) {
                let ack = Acknowledgement(upTo: frame.upTo, beyond: frame.beyond)
                let settled = try state.window.acknowledged(ack, priority: frame.priority)
                if !settled.isEmpty {
                    state.isFruitful = true
                    state.turn &+= 1
                }
                return .success(Progress(settled: settled, lost: state.pump(), waiters: state.noteRoom()))
            } catch {
                return .failure(error)
            }
        }
        let progress = try result.get()
        giveBack()
        for waiter in progress.waiters { waiter.resume(returning: true) }
        services.settled(progress.settled.map(\.sequence), self)
        gaveUp(progress.lost)
    }

    private func gaveUp(_ lost: [Undeliverable]) {
        guard !lost.isEmpty else { return }
        services.bury(lost, name)
        services.settled(lost.map(\.parcel.sequence), self)
        giveBack()
    }

    private struct Progress {
        var settled: [Parcel] = []
        var lost: [Undeliverable] = []
        var waiters: [CheckedContinuation<Bool, Never>] = []
    }

    /// An event that no link takes.
    struct Undeliverable: Sendable {
        let parcel: Parcel
        let error: LLMgineError
    }
}

extension Outlet.Parcel {
    /// An event of an earlier life, which travels under a new number and tells its identity beside it.
    init(_ late: JournalDesk.Late) {
        let message = late.message.stamped(with: late.id)
        self.init(message: message, sequence: late.sequence, expires: message.timeToLive.map { .now + $0 })
    }

    /// What it counts in the window: its payload, its headers and about what is around them.
    fileprivate var bytes: Int {
        message.payload.readableBytes + message.headers.pairs.reduce(128) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    }
}

extension Outlet.State {
    /// Sends what is unsent as far as the link takes it. - Returns: what no link will ever take.
    fileprivate mutating func pump() -> [Outlet.Undeliverable] {
        guard let link, !isResting, !isWithdrawn else { return [] }
        var lost: [Outlet.Undeliverable] = []
        for priority in Priority.allCases {
            lane: while var parcel = window.unsent(priority) {
                if let expires = parcel.expires {
                    parcel.message.timeToLive = expires - .now
                    guard expires > .now else {
                        lost.append(
                            remove(priority, parcel, LLMgineError(.deadlineExceeded, "its time to live was over before it was sent")))
                        continue lane
                    }
                }
                do throws(LLMgineError) {
                    switch try link.connection.append(parcel.message, sequence: parcel.sequence, to: [entry.flow], expires: false) {
                    case .queued(evicted: _, rejected: 0): window.noteSent(priority)
                    case .queued, .full, .paced: break lane  // the next acknowledgement brings us back
                    case .nobody: break lane  // it is about to be withdrawn
                    case nil: return lost
                    }
                } catch {
                    lost.append(remove(priority, parcel, error))
                }
            }
        }
        return lost
    }

    private mutating func remove(_ priority: Priority, _ parcel: Outlet.Parcel, _ error: LLMgineError) -> Outlet.Undeliverable {
        _ = window.removeUnsent(priority)
        return Outlet.Undeliverable(parcel: parcel, error: error)
    }

    fileprivate mutating func leave() {
        link = nil
        isResting = false
        epoch += 1
        fruitless = isFruitful || window.isEmpty ? 0 : fruitless + 1
        window.restart()
    }

    /// Publishers that were turned away may come again once it is down to half.
    fileprivate mutating func noteRoom() -> [CheckedContinuation<Bool, Never>] {
        guard hasTurnedAway, window.isHalfEmpty else { return [] }
        hasTurnedAway = false
        isDemoted = false
        return takeWaiters()
    }

    mutating func takeWaiters() -> [CheckedContinuation<Bool, Never>] {
        defer { waiters = [] }
        return waiters.map(\.continuation)
    }
}

/// What all outlets of a node share.
struct OutletServices: Sendable {
    let limits: RetransmitWindow<Outlet.Parcel>.Limits
    /// Lends the memory that their windows take.
    let office: CreditOffice
    /// Puts what cannot be delivered into the dead letters.
    let bury: @Sendable ([Outlet.Undeliverable], String) -> Void
    /// Is told of what an outlet's subscription has settled.
    let settled: @Sendable ([UInt64], Outlet) -> Void
}
