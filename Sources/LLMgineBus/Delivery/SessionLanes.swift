import DequeModule
import LLMgineCore
import Synchronization

/// Keeps the events of each session in order while those of different sessions are handled side by side.
///
/// A session is *busy* from the moment that one of its events is given to a worker; what comes for it meanwhile waits here, the more urgent first.
/// What waits here has left the mailbox's lanes, so there is a limit to it: beyond, the subscription looks no further ahead.
final class SessionLanes<Value: Sendable>: Sendable {
    /// What waits for one session, by class.
    private struct Line {
        private var classes = InlineArray<4, Deque<Delivery<Value>>>(repeating: Deque())
        private(set) var count = 0

        mutating func append(_ delivery: Delivery<Value>) {
            classes[Int(delivery.envelope.run.priority.rawValue)].append(delivery)
            count += 1
        }

        mutating func takeNext() -> Delivery<Value>? {
            for index in 0..<4 {
                guard let delivery = classes[index].popFirst() else { continue }
                count -= 1
                return delivery
            }
            return nil
        }
    }

    private struct State {
        var busy: [SessionID: Line] = [:]
        /// Busy sessions whose worker gave its place to others.
        var paused: [SessionID] = []
        var waiting = 0
        var dispatcher: CheckedContinuation<Void, Never>?

        mutating func takeNext(of session: SessionID) -> Delivery<Value>? {
            guard let delivery = busy[session]?.takeNext() else { return nil }
            waiting -= 1
            return delivery
        }

        mutating func takeDispatcher(below limit: Int) -> CheckedContinuation<Void, Never>? {
            guard waiting < limit else { return nil }
            defer { dispatcher = nil }
            return dispatcher
        }
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int) { self.limit = max(1, limit) }

    /// Takes in an event. - Returns: the event if a worker may begin with it; nil if it waits for its session.
    func enter(_ delivery: Delivery<Value>) -> Delivery<Value>? {
        let session = delivery.envelope.run.session
        return state.withLock { state in
            guard let index = state.busy.index(forKey: session) else {
                state.busy[session] = Line()
                return delivery
            }
            state.busy.values[index].append(delivery)
            state.waiting += 1
            return nil
        }
    }

    /// A worker is done with an event. - Returns: the next one of its session; nil if there is none, and the session is no longer busy.
    func next(after session: SessionID) -> Delivery<Value>? {
        let (delivery, dispatcher) = state.withLock { state -> (Delivery<Value>?, CheckedContinuation<Void, Never>?) in
            let delivery = state.takeNext(of: session)
            if delivery == nil { state.busy[session] = nil }
            return (delivery, state.takeDispatcher(below: limit))
        }
        dispatcher?.resume()
        return delivery
    }

    /// A worker would give its place to another session. - Returns: false if nothing waits for its own.
    func pause(_ session: SessionID) -> Bool {
        state.withLock { state in
            guard let count = state.busy[session]?.count, count > 0 else { return false }
            state.paused.append(session)
            return true
        }
    }

    /// The worker keeps its place after all. - Returns: the next event of its session; nil if another worker has gone on with it.
    func takeBack(_ session: SessionID) -> Delivery<Value>? {
        let (delivery, dispatcher) = state.withLock { state -> (Delivery<Value>?, CheckedContinuation<Void, Never>?) in
            guard let index = state.paused.firstIndex(of: session) else { return (nil, nil) }
            state.paused.remove(at: index)
            return (state.takeNext(of: session), state.takeDispatcher(below: limit))
        }
        dispatcher?.resume()
        return delivery
    }

    /// The next event of a session that gave its place away.
    func resume() -> Delivery<Value>? {
        state.withLock { state in state.paused.isEmpty ? nil : state.takeNext(of: state.paused.removeFirst()) }
    }

    /// Waits while too much waits. One task does.
    func waitForRoom() async {
        await withCheckedContinuation { continuation in
            let waits = state.withLock { state in
                if state.waiting >= limit { state.dispatcher = continuation }
                return state.waiting >= limit
            }
            if !waits { continuation.resume() }
        }
    }

    var isFull: Bool { state.withLock { $0.waiting >= limit } }

    /// Nobody will handle what waits, which is returned.
    func end() -> [Delivery<Value>] {
        let (waiting, dispatcher) = state.withLock { state in
            defer { state = State() }
            var waiting: [Delivery<Value>] = []
            for var line in state.busy.values {
                while let delivery = line.takeNext() { waiting.append(delivery) }
            }
            return (waiting, state.dispatcher)
        }
        dispatcher?.resume()
        return waiting
    }
}

extension Subscriber {
    /// Handles the events of each session one after another, and those of different sessions side by side, as many as `options.concurrency`.
    ///
    /// While all places are taken, a worker gives its place to another session after each event.
    func runBySession() async {
        let slots = Slots(options.concurrency)
        let lanes = SessionLanes<Value>(limit: options.capacity / 2)
        var prefersPaused = false
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                while !Task.isCancelled {
                    await slots.take()
                    prefersPaused.toggle()
                    if Task.isCancelled {
                        slots.give()
                    } else if let delivery = begin(lanes, prefersPaused) {
                        group.addTask { [self] in
                            await HandlerScope.$current.withValue(id) { await work(on: delivery, lanes, slots) }
                        }
                    } else {
                        slots.give()
                        if lanes.isFull {
                            await lanes.waitForRoom()
                        } else {
                            guard await mailbox.waitForWork() else { break }
                        }
                    }
                }
            }
        } onCancel: {
            // At once: a handler that does not listen may keep the group from ending.
            for delivery in lanes.end() { bury(delivery) }
        }
        for delivery in lanes.end() { bury(delivery) }
        buryBorrowed()
    }

    /// What a free place may begin with; nil if there is nothing at the moment.
    private func begin(_ lanes: SessionLanes<Value>, _ prefersPaused: Bool) -> Delivery<Value>? {
        if prefersPaused, let delivery = lanes.resume() { return delivery }
        while !lanes.isFull, let delivery = pullBorrowed() {
            if let delivery = lanes.enter(delivery) { return delivery }
        }
        return lanes.resume()
    }

    private func work(on first: Delivery<Value>, _ lanes: SessionLanes<Value>, _ slots: Slots) async {
        let session = first.envelope.run.session
        var counts = DeliveryCounts()
        counts.resume()
        var current: Delivery<Value>? = first
        while let delivery = current {
            await process(delivery, &counts)
            if Task.isCancelled { break }
            if slots.hasWaiter, lanes.pause(session) {
                if slots.handOver() { return settle(&counts) }
                current = lanes.takeBack(session)
            } else {
                current = lanes.next(after: session)
            }
        }
        settle(&counts)
        slots.give()
    }
}
