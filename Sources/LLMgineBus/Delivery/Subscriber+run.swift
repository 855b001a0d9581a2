import LLMgineCore
import Synchronization

extension Subscriber {
    /// Handles what arrives until the mailbox is closed and empty, or the task is cancelled; then what is left goes to the dead letters, unless
    /// whoever cancelled has become tired of waiting and has put it there.
    func run() async {
        consumer.store(CurrentTask.mark, ordering: .relaxed)
        if options.concurrency > 1 { return await options.ordering == .session ? runBySession() : runConcurrently() }
        guard comesBack() else { return }
        var counts = DeliveryCounts()
        var isBusy = false
        while !Task.isCancelled {
            guard let lane = custody.lanes.mostUrgent(with: mailbox) else {
                settle(&counts)
                if isBusy {
                    isBusy = false
                    mailbox.linger()
                } else {
                    custody.leave()
                    let hasMore = await mailbox.waitForWork()
                    guard comesBack() else { return }
                    guard hasMore else { break }
                }
                continue
            }
            if custody.lanes.lanes[lane].isEmpty { settle(&counts) }
            custody.lanes.refill(lane, from: mailbox)
            isBusy = custody.lanes.lanes[lane].lane.items.count >= Mailbox.busyChunk
            counts.resume()
            guard await work(through: lane, &counts) else { return settle(&counts) }
        }
        settle(&counts)
        if mailbox.isClosed { bury(&custody.lanes) }
        custody.lanes.discard()
    }

    /// Handles a chunk up to its end, or until something more urgent has come. - Returns: false if the chunk was claimed meanwhile.
    private func work(through lane: Int, _ counts: inout DeliveryCounts) async -> Bool {
        let priority = Priority(rawValue: UInt8(truncatingIfNeeded: lane)) ?? .normal
        var room = RoomReturn(mailbox)
        defer { room.giveBack() }
        while !custody.lanes.lanes[lane].isEmpty {
            if mailbox.interrupts(lane) { return true }
            if counts.isOverdue { settle(&counts) }
            let index = custody.lanes.lanes[lane].next
            switch custody.lanes.lanes[lane].lane.items[index].body {
            case .value:
                custody.lanes.lanes[lane].next = index + 1
                guard let value = custody.lanes.lanes[lane].lane.values.take(Value.self, at: index) else { continue }
                let envelope = custody.lanes.lanes[lane].envelope(at: index, priority: priority, origin: services.origin)
                if envelope.missed > 0 { noteMissed(envelope.missed) }
                custody.leave()
                await handle(value, envelope, &counts)
                guard comesBack() else {
                    room.finishedLate()
                    return false
                }
                room.finishedOne(after: counts.lastLap)
            case .encoded(let encoded):
                custody.lanes.lanes[lane].next = index + 1
                let envelope = custody.lanes.lanes[lane].envelope(
                    at: index, priority: priority, origin: services.origin, encoded: encoded)
                if envelope.missed > 0 { noteMissed(envelope.missed) }
                custody.leave()
                await handle(encoded.message, envelope, &counts)
                guard comesBack() else {
                    room.finishedLate()
                    return false
                }
                room.finishedOne(after: counts.lastLap)
            case .chunk(let inbound, let skip):
                guard await handle(inbound, from: skip, lane: lane, &counts) else { return false }
                custody.lanes.lanes[lane].leaveChunk()
                if custody.lanes.lanes[lane].next == index { return true }
            case .gap(let count):
                custody.lanes.lanes[lane].next = index + 1
                custody.lanes.lanes[lane].missed &+= UInt64(count)
            }
        }
        return true
    }

    /// The same with several handlers at once. An event is taken out when a handler is free for it, so what is urgent still comes first.
    private func runConcurrently() async {
        let slots = Slots(options.concurrency)
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                await slots.take()
                if !Task.isCancelled, let delivery = pullBorrowed() {
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
        buryBorrowed()
    }

    /// The next event for one of several handlers. Nil if there is none at the moment, or all were claimed.
    func pullBorrowed() -> Delivery<Value>? { custody.borrow { pull(&$0) } ?? nil }

    /// Puts what several handlers have left into the dead letters, unless it was claimed.
    func buryBorrowed() {
        custody.borrow { lanes in
            if mailbox.isClosed { bury(&lanes) }
            lanes.discard()
        }
    }

    func noteMissed(_ count: UInt64) {
        if count > 0 { statistics.missed.wrappingAdd(count, ordering: .relaxed) }
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
