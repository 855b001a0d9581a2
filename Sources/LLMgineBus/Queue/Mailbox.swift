import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

/// What waits for one handler: four priority classes, bounded together.
///
/// The publisher appends to an open chunk under a short lock; the consumer swaps the whole chunk against its empty one. So the lock is
/// contended once a chunk and not once an event, nothing is allocated in the steady state, and a chunk is as long as the load makes it:
/// one event while the consumer is idle, hundreds while it is busy.
final class Mailbox: Sendable {
    enum Body: Sendable {
        /// Published on this node, as the handler wants it: the value is in the lane's store, at the same index.
        case value
        /// Published on this node in another form: raw bytes for a typed handler.
        case encoded(EncodedMessage)
        /// Came over a link; the first `skip` messages were evicted.
        case chunk(InboundDelivery, skip: Int)
        /// A publisher on another node had to drop this many for us.
        case gap(Int)
    }

    struct Item: Sendable {
        var body: Body
        var sequence: UInt64
        var extras: MessageExtras?
    }

    /// One class's open chunk.
    struct Lane: Sendable {
        var items: ContiguousArray<Item> = []
        var values: ValueStore
        /// Which topic and session the items have, by the index of the first.
        var runs: ContiguousArray<Run> = []
        /// Items before this index were evicted or handled.
        var head = 0
        /// How many events were evicted here since the last chunk was taken.
        var missed: UInt64 = 0
        /// How many places were given up at the front since then.
        var removed = 0

        struct Run: Sendable {
            var first: Int
            var topic: Topic
            var session: SessionID
        }

        init(_ layout: ValueLayout) { values = ValueStore(layout) }

        var isEmpty: Bool { head == items.count }

        /// Forgets the items, all of which were handled, and keeps the memory for the next chunk unless a burst made it large.
        mutating func reset() {
            if items.capacity > 4096 {
                items = []
                values.deallocate()
            } else {
                items.removeAll(keepingCapacity: true)
            }
            runs.removeAll(keepingCapacity: true)
            head = 0
            missed = 0
            removed = 0
        }

        /// Destroys what was not handled.
        mutating func discard() {
            for index in head..<items.count {
                if case .value = items[index].body { values.destroy(at: index) }
            }
            items = []
            values.deallocate()
            head = 0
        }
    }

    struct State {
        var lanes: InlineArray<4, Lane>
        /// Messages that ever entered.
        var entered = 0
        /// The last value of `finished` that was read: spares the publisher the consumer's cache line.
        var finishedSeen = 0
        var isClosed = false
        /// Waits for the first message after a pause.
        var sleeper: CheckedContinuation<Void, Never>? {
            didSet { hasSleeper = sleeper != nil }
        }
        /// Whether there is a sleeper: to look at this costs less than to look at an optional of another module's type.
        private(set) var hasSleeper = false
        var waiters: [Waiter] = []
        var nextWaiter: UInt64 = 0
        var isDemoted = false
        var evicted: UInt64 = 0
        var rejected: UInt64 = 0
        var gate: QueueGate
        /// Which events may go first, where the newest of each key is kept.
        var superseded: SupersededEvents?

        init(_ layout: ValueLayout, _ queue: BoundedEventQueue) {
            lanes = InlineArray(repeating: Lane(layout))
            gate = QueueGate(queue)
            if queue.strategy == .conflate { superseded = SupersededEvents(by: queue.conflationKey) }
        }
    }

    struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    let capacity: Int
    /// Waiting publishers go on when there are no more than this.
    let releaseLevel: Int
    let meters: QueueMeters
    let state: Mutex<State>
    private let apart = CacheLine()
    /// Messages that the consumer is done with: the one thing that it writes for each of them.
    let finished = Atomic<Int>(0)
    private let apartAgain = CacheLine()
    /// A bit for each class whose open chunk has something, and one for a consumer that is to stop.
    let pending = Atomic<UInt8>(0)
    private static let abandoned: UInt8 = 1 << 7
    let hasWaiters = Atomic<Bool>(false)

    init(_ queue: BoundedEventQueue, layout: ValueLayout, meters: QueueMeters) {
        self.capacity = queue.capacity
        self.releaseLevel =
            queue.strategy == .adaptiveRateLimit ? queue.lowWater : queue.capacity - max(1, queue.capacity / 4)
        self.meters = meters
        self.state = Mutex(State(layout, queue))
    }

    deinit {
        state.withLock { state in
            for lane in 0..<4 { state.lanes[lane].discard() }
        }
    }

    // MARK: Publishers

    /// Puts one value at the end of its class. `Value` is the type that the mailbox was made for.
    func offer<Value: Sendable>(
        _ value: Value, sequence: UInt64, extras: MessageExtras?, topic: borrowing Topic, session: borrowing SessionID, priority: Priority
    ) -> SubscriberOffer {
        let lane = Int(priority.rawValue)
        let (offer, wakes) = state.withLock { state in
            let offer = admit(&state, lane: lane, topic: topic, extras: extras)
            guard case .accepted = offer else { return (offer, false) }
            state.lanes[lane].put(value)
            append(Item(body: .value, sequence: sequence, extras: extras), to: &state, topic: topic, session: session, lane: lane)
            return (offer, state.hasSleeper)
        }
        if wakes { wake() }
        return offer
    }

    /// Puts one message of another form at the end of its class.
    func offer(_ message: EncodedMessage, sequence: UInt64, extras: MessageExtras?) -> SubscriberOffer {
        let lane = Int(message.message.priority.rawValue)
        let (offer, wakes) = state.withLock { state in
            let offer = admit(&state, lane: lane, topic: message.message.topic, extras: extras)
            guard case .accepted = offer else { return (offer, false) }
            let item = Item(body: .encoded(message), sequence: sequence, extras: extras)
            append(item, to: &state, topic: message.message.topic, session: message.message.session, lane: lane)
            return (offer, state.hasSleeper)
        }
        if wakes { wake() }
        return offer
    }

    /// Wakes the consumer, if nobody else has done so since it was seen asleep.
    private func wake() { state.withLock { $0.takeSleeper() }?.resume() }

    /// Whether one more may come in, making room by the policy if need be.
    @inline(__always)
    private func admit(_ state: inout State, lane: Int, topic: borrowing Topic, extras: MessageExtras?) -> SubscriberOffer {
        guard !state.isClosed else { return .closed }
        guard state.entered &- state.finishedSeen >= state.gate.threshold else { return .accepted(evicted: 0) }
        return admitAtThreshold(&state, lane: lane, topic: topic, extras: extras)
    }

    private func append(
        _ item: consuming Item, to state: inout State, topic: borrowing Topic, session: borrowing SessionID, lane: Int
    ) {
        let wasEmpty = state.lanes[lane].isEmpty
        state.lanes[lane].append(item, topic: topic, session: session)
        state.entered &+= 1
        if wasEmpty { pending.bitwiseOr(1 << UInt8(truncatingIfNeeded: lane), ordering: .releasing) }
    }

    /// Takes in what came over a link. It has reserved room, so it is never refused while the mailbox is open.
    func deliver(_ delivery: InboundDelivery) -> Bool {
        let (priority, count) = (delivery.chunk.priority, delivery.chunk.count)
        let (accepted, wakes) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.lanes[Int(priority.rawValue)].items.append(Item(body: .chunk(delivery, skip: 0), sequence: 0, extras: nil))
            state.entered &+= count
            noteSize(&state)
            pending.bitwiseOr(1 << priority.rawValue, ordering: .releasing)
            return (true, state.hasSleeper)
        }
        if wakes { wake() }
        return accepted
    }

    /// Puts one message that is a chunk of its own at the end of its class, if the queue takes it.
    func offer(_ delivery: InboundDelivery) -> SubscriberOffer {
        let priority = delivery.chunk.priority
        let topic = delivery.chunk.message(at: 0).message.topic
        let (offer, wakes) = state.withLock { state in
            let offer = admit(&state, lane: Int(priority.rawValue), topic: topic, extras: nil)
            guard case .accepted = offer else { return (offer, false) }
            state.lanes[Int(priority.rawValue)].items.append(Item(body: .chunk(delivery, skip: 0), sequence: 0, extras: nil))
            state.entered &+= 1
            pending.bitwiseOr(1 << priority.rawValue, ordering: .releasing)
            return (offer, state.hasSleeper)
        }
        if wakes { wake() }
        return offer
    }

    /// Counts messages that came over a link after the end of the subscription.
    func noteRefused(_ count: Int) {
        state.withLock { $0.rejected &+= UInt64(count) }
        meters.rejected.increment(by: UInt64(count))
    }

    /// Waits while there are more than so many. - Returns: false when woken for another reason: the mailbox was closed or the wait given up.
    func wait(above level: Int, _ onRegistered: (UInt64) -> Void) async -> Bool {
        await withCheckedContinuation { continuation in
            let id: UInt64? = state.withLock { state in
                guard !state.isOver, state.entered - finished.load(ordering: .sequentiallyConsistent) > level, !state.isDemoted else {
                    return nil
                }
                state.nextWaiter += 1
                state.waiters.append(Waiter(id: state.nextWaiter, continuation: continuation))
                hasWaiters.store(true, ordering: .sequentiallyConsistent)
                // The consumer may have finished the last message between the look above and the flag: look again under the same lock.
                guard state.entered - finished.load(ordering: .sequentiallyConsistent) > level else {
                    state.waiters.removeLast()
                    hasWaiters.store(!state.waiters.isEmpty, ordering: .sequentiallyConsistent)
                    return nil
                }
                return state.nextWaiter
            }
            if let id { onRegistered(id) } else { continuation.resume(returning: true) }
        }
    }

    /// Ends one wait early, at a deadline or when the publisher is cancelled. `demote`: publishers no longer wait until the consumer has caught up.
    func giveUp(_ id: UInt64, demote: Bool) {
        let waiter: Waiter? = state.withLock { state in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            if demote { state.isDemoted = true }
            let waiter = state.waiters.remove(at: index)
            hasWaiters.store(!state.waiters.isEmpty, ordering: .sequentiallyConsistent)
            return waiter
        }
        waiter?.continuation.resume(returning: false)
    }

    /// Ends all waits early after the first deadline: the subscription is demoted for everyone.
    func demote() {
        let waiters = state.withLock { state in
            state.isDemoted = true
            return state.takeWaiters()
        }
        hasWaiters.store(false, ordering: .sequentiallyConsistent)
        for waiter in waiters { waiter.continuation.resume(returning: false) }
    }

    // MARK: The consumer

    /// A chunk of so many shows a publisher that is busy enough to stay awake for.
    static let busyChunk = 8

    /// Whether the consumer is to leave its chunk: a class more urgent than this one has something, or the work is over.
    func interrupts(_ lane: Int) -> Bool {
        pending.load(ordering: .relaxed) & (((1 << UInt8(truncatingIfNeeded: lane)) &- 1) | Mailbox.abandoned) != 0
    }

    /// The consumer is to stop as soon as its handler returns.
    func abandon() { pending.bitwiseOr(Mailbox.abandoned, ordering: .sequentiallyConsistent) }

    /// Whether the consumer is to stop.
    var isAbandoned: Bool { pending.load(ordering: .acquiring) & Mailbox.abandoned != 0 }

    /// The most urgent class that has something, or nil.
    var mostUrgent: Int? {
        let bits = pending.load(ordering: .acquiring) & ~Mailbox.abandoned
        return bits == 0 ? nil : bits.trailingZeroBitCount
    }

    /// Exchanges the class's open chunk for the consumer's empty one.
    func take(lane: Int, into empty: inout Lane) {
        state.withLock { state in
            swap(&state.lanes[lane], &empty)
            pending.bitwiseAnd(~(1 << UInt8(truncatingIfNeeded: lane)), ordering: .releasing)
            if state.gate.isUnderPressure { notePressure(&state) }
            if state.superseded != nil { state.superseded?.forget(lane) }
        }
    }

    /// Counts messages as done with and lets waiting publishers go on once there is room enough.
    func finish(_ count: Int) {
        finished.add(count, ordering: .sequentiallyConsistent)
        if hasWaiters.load(ordering: .sequentiallyConsistent) { releaseWaiters() }
    }

    /// The same for the only consumer, which lets publishers go on at its next ``finish(_:)``: an atomic operation that nobody has to wait for.
    func finishOne() { finished.store(finished.load(ordering: .relaxed) &+ 1, ordering: .releasing) }

    private func releaseWaiters() {
        let waiters: [Waiter] = state.withLock { state in
            let queued = state.entered - finished.load(ordering: .acquiring)
            guard queued <= releaseLevel else { return [] }
            hasWaiters.store(false, ordering: .sequentiallyConsistent)
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.continuation.resume(returning: true) }
    }

    /// Stays awake for 8 us, because more comes from a busy publisher: waking a sleeper would cost it 5 us. It looks up only then, so that
    /// some dozen events are there and not each of them alone, and the publisher's cache lines stay with it meanwhile.
    func linger() {
        let end = SystemClock.monotonicNanoseconds() &+ 8_000
        while SystemClock.monotonicNanoseconds() < end {}
    }

    /// Sleeps until there is something to take. - Returns: false once the mailbox is closed and empty.
    func waitForWork() async -> Bool {
        await withCheckedContinuation { continuation in
            let waits: Bool = state.withLock { state in
                guard mostUrgent == nil, !state.isOver else { return false }
                state.isDemoted = false  // caught up
                notePressure(&state)
                state.sleeper = continuation
                return true
            }
            if !waits {
                continuation.resume()
            } else if state.withLock({ _ in hasWaiters.load(ordering: .relaxed) }) {
                releaseWaiters()
            }
        }
        return mostUrgent != nil || !state.withLock { $0.isOver }
    }

    // MARK: Ending

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Takes nothing in any more; what is queued can still be taken out.
    func close() {
        let (sleeper, waiters): (CheckedContinuation<Void, Never>?, [Waiter]) = state.withLock { state in
            state.isClosed = true
            return (state.takeSleeper(), state.takeWaiters())
        }
        hasWaiters.store(false, ordering: .sequentiallyConsistent)
        sleeper?.resume()
        for waiter in waiters { waiter.continuation.resume(returning: false) }
    }

    /// Messages that wait or are being handled.
    var count: Int { state.withLock { $0.entered - finished.load(ordering: .acquiring) } }
    /// Room that is left before the policy decides.
    var room: Int { max(0, capacity - count) }
    /// What was evicted and rejected so far.
    var losses: (evicted: UInt64, rejected: UInt64) { state.withLock { ($0.evicted, $0.rejected) } }
}

extension Mailbox.State {
    /// Whether nothing will come in any more: it is closed, and there is nothing on the disk that comes back.
    var isOver: Bool { isClosed && !gate.isHolding }

    mutating func takeSleeper() -> CheckedContinuation<Void, Never>? {
        let taken = sleeper
        sleeper = nil
        return taken
    }

    mutating func takeWaiters() -> [Mailbox.Waiter] {
        let taken = waiters
        waiters = []
        return taken
    }
}

/// A message that was published on this node and goes to a handler of another form.
final class EncodedMessage: Sendable {
    let message: Message
    /// What happened to it before, if it comes out of the dead letters.
    let trial: Trial?
    /// Whose it is, if this node only passes it on.
    let origin: MessageID?

    init(_ message: Message, trial: Trial? = nil, origin: MessageID? = nil) {
        self.origin = origin
        self.message = message
        self.trial = trial
    }
}

/// A chunk from a link, on its way to one subscription.
package final class InboundDelivery: Sendable {
    package let chunk: any InboundChunk
    package let credit: any CreditReturn
    /// Where its only message stands among the handlers of that; nil if it need not wait for any.
    let place: StagePlace?

    package convenience init(chunk: any InboundChunk, credit: any CreditReturn) { self.init(chunk: chunk, credit: credit, place: nil) }

    init(chunk: any InboundChunk, credit: any CreditReturn, place: StagePlace?) {
        self.chunk = chunk
        self.credit = credit
        self.place = place
    }
}

/// As much room as a cache line takes. What lies before and after it is written by different threads; on one line, each write would take it
/// from the other thread.
struct CacheLine {
    private let words = InlineArray<8, UInt64>(repeating: 0)
}
