import LLMgineCore
import Synchronization

extension Subscriber {
    /// Handles what arrives until the mailbox is closed and empty, or the task is cancelled; then what is left goes to the dead letters.
    func run() async {
        consumer.store(CurrentTask.mark, ordering: .relaxed)
        if options.concurrency > 1 { return await options.ordering == .session ? runBySession() : runConcurrently() }
        var taken = TakenLanes(ValueLayout(of: Value.self))
        var counts = DeliveryCounts()
        var isBusy = false
        while !Task.isCancelled {
            guard let lane = taken.mostUrgent(with: mailbox) else {
                settle(&counts)
                if isBusy {
                    isBusy = false
                    mailbox.linger()
                } else {
                    guard await mailbox.waitForWork() else { break }
                }
                continue
            }
            if taken.lanes[lane].isEmpty { settle(&counts) }
            taken.refill(lane, from: mailbox)
            isBusy = taken.lanes[lane].lane.items.count >= Mailbox.busyChunk
            counts.resume()
            await work(through: &taken.lanes[lane], lane: lane, &counts)
        }
        settle(&counts)
        if mailbox.isClosed { bury(&taken) }
        taken.discard()
    }

    /// Handles a chunk up to its end, or until something more urgent has come.
    private func work(through taken: inout TakenLane, lane: Int, _ counts: inout DeliveryCounts) async {
        let priority = Priority(rawValue: UInt8(truncatingIfNeeded: lane)) ?? .normal
        var room = RoomReturn(mailbox)
        defer { room.giveBack() }
        while taken.next < taken.lane.items.count {
            if mailbox.interrupts(lane) { return }
            if counts.isOverdue { settle(&counts) }
            let index = taken.next
            taken.next += 1
            switch taken.lane.items[index].body {
            case .value:
                guard let value = taken.lane.values.take(Value.self, at: index) else { continue }
                let envelope = taken.envelope(at: index, priority: priority, origin: services.origin)
                if envelope.missed > 0 { noteMissed(envelope.missed) }
                await handle(value, envelope, &counts)
                room.finishedOne(after: counts.lastLap)
            case .encoded(let encoded):
                let envelope = taken.envelope(at: index, priority: priority, origin: services.origin, trial: encoded.trial)
                if envelope.missed > 0 { noteMissed(envelope.missed) }
                await handle(encoded.message, envelope, &counts)
                room.finishedOne(after: counts.lastLap)
            case .chunk(let inbound, let skip):
                let missed = taken.takeMissed()
                let reached = await handle(inbound, from: skip, lane: lane, missed: missed, &counts)
                taken.missed = reached.missed
                if missed > 0, reached.missed == 0 { noteMissed(missed) }
                guard reached.next < inbound.chunk.count else { continue }
                taken.lane.items[index].body = .chunk(inbound, skip: reached.next)
                taken.next = index
                return
            case .gap(let count):
                taken.missed += UInt64(count)
            }
        }
    }

    /// The same with several handlers at once. An event is taken out when a handler is free for it, so what is urgent still comes first.
    private func runConcurrently() async {
        let slots = Slots(options.concurrency)
        var taken = TakenLanes(ValueLayout(of: Value.self))
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                await slots.take()
                if !Task.isCancelled, let delivery = pull(&taken) {
                    group.addTask { [self] in
                        var counts = DeliveryCounts()
                        counts.resume()
                        await HandlerScope.$current.withValue(id) { await process(delivery, &counts) }
                        settle(&counts)
                        slots.give()
                    }
                } else {
                    slots.give()
                    guard await mailbox.waitForWork() else { break }
                }
            }
        }
        if mailbox.isClosed { bury(&taken) }
        taken.discard()
    }

    func noteMissed(_ count: UInt64) {
        if count > 0 { statistics.missed.add(count, ordering: .relaxed) }
    }
}

/// Places for so many at a time. One task takes them, any may give them back.
final class Slots: Sendable {
    private struct State {
        var free: Int
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>

    init(_ count: Int) { state = Mutex(State(free: count)) }

    /// Whether somebody waits for a place.
    var hasWaiter: Bool { state.withLock { $0.waiter != nil } }

    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiter = continuation
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    /// Gives the place to whoever waits for it. - Returns: false if nobody does, and the place is kept.
    func handOver() -> Bool {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
        return waiter != nil
    }

    func give() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let waiter = state.waiter else {
                state.free += 1
                return nil
            }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }
}

/// Tells tasks apart, so that a handler that would wait for itself can be told from anyone else.
enum CurrentTask {
    /// Nobody's.
    static let none = 0

    /// A number of the running task.
    static var mark: Int {
        // The reference does not leave the closure; only its hash does.
        unsafe withUnsafeCurrentTask { task in
            guard let task = unsafe task else { return none }
            let hash = unsafe task.hashValue
            return hash == none ? 1 : hash
        }
    }
}
