import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

/// What a mailbox does where its ``QueueGate`` wants to be asked: near the marks, when it is full, and when somebody looks.
extension Mailbox {
    /// Whether one more may come in, now that there seem to be enough that the gate must decide.
    @inline(never)
    func admitAtThreshold(_ state: inout State, lane: Int, topic: borrowing Topic, extras: MessageExtras?) -> SubscriberOffer {
        state.finishedSeen = finished.load(ordering: .acquiring)
        let size = state.entered &- state.finishedSeen
        guard size >= state.gate.threshold else { return .accepted(evicted: 0) }
        let hits = state.gate.highWaterHits
        defer { if state.gate.highWaterHits != hits { meters.highWater.increment() } }
        guard state.superseded == nil else { return admitConflating(&state, lane: lane, topic: topic, extras: extras) }
        switch state.gate.offered(at: size, isDemoted: state.isDemoted, now: SystemClock.sinceEpoch()) {
        case .accepted: return .accepted(evicted: 0)
        case .held: return .full
        case .rejected:
            state.rejected += 1
            meters.rejected.increment()
            return .rejected
        case .evicts:
            let evicted = Mailbox.evictOldest(from: &state)
            meters.dropped.increment(by: UInt64(evicted))
            return .accepted(evicted: evicted)
        }
    }

    /// Tells the gate of messages that came in unasked.
    func noteSize(_ state: inout State) {
        guard state.entered &- state.finishedSeen > state.gate.threshold else { return }
        state.finishedSeen = finished.load(ordering: .acquiring)
        let hits = state.gate.highWaterHits
        state.gate.swelled(to: state.entered &- state.finishedSeen, now: SystemClock.sinceEpoch())
        if state.gate.highWaterHits != hits { meters.highWater.increment() }
    }

    /// Tells the gate of messages that have gone.
    func notePressure(_ state: inout State) { state.gate.shrank(to: state.entered &- finished.load(ordering: .acquiring)) }

    /// What to do about a message that was held at the door.
    var advice: QueueGate.Advice {
        state.withLock { state in
            // A closed mailbox says so when it is asked again.
            state.isClosed
                ? .tryAgain : state.gate.advice(at: state.entered - finished.load(ordering: .acquiring), isDemoted: state.isDemoted)
        }
    }

    /// Lets one message in that has waited enough.
    func grantPass() { state.withLock { $0.gate.grantPass() } }

    /// A message was refused by the caller of ``advice``.
    func noteRejected() {
        state.withLock { $0.rejected += 1 }
        meters.rejected.increment()
    }

    /// A message that was taken out by ``takeOldest(of:)`` has been dealt with. Publishers do so, hence not through ``finish(_:)``, which is the
    /// consumer's.
    func noteDisplaced(isLoss: Bool) {
        state.withLock { state in
            state.entered &-= 1
            if isLoss { state.evicted += 1 }
        }
        if isLoss { meters.dropped.increment() }
    }

    /// Moves the oldest message of the least urgent class into a chunk of its own. It counts as queued until ``noteDisplaced(isLoss:)``.
    func takeOldest<Value: Sendable>(of _: Value.Type) -> (priority: Priority, chunk: TakenLane)? {
        state.withLock { state in
            for lane in (0..<4).reversed() {
                while !state.lanes[lane].isEmpty {
                    let head = state.lanes[lane].head
                    let item = state.lanes[lane].items[head]
                    if case .gap(let count) = item.body {
                        state.lanes[lane].missed &+= UInt64(count)
                        state.lanes[lane].dropHead()
                        continue
                    }
                    var chunk = Lane(ValueLayout(of: Value.self))
                    if case .value = item.body, let value = state.lanes[lane].values.take(Value.self, at: head) { chunk.put(value) }
                    if let run = state.lanes[lane].runs.last(where: { $0.first <= head }) {
                        chunk.append(item, topic: run.topic, session: run.session)
                    } else {
                        chunk.items.append(item)  // from a link: it knows its topics itself
                    }
                    if case .chunk(let delivery, let skip) = item.body, skip + 1 < delivery.chunk.count {
                        state.lanes[lane].items[head].body = .chunk(delivery, skip: skip + 1)
                    } else {
                        state.lanes[lane].dropHead()
                    }
                    state.lanes[lane].missed &+= 1
                    var taken = TakenLane(ValueLayout(of: Value.self))
                    taken.lane = chunk
                    taken.start()
                    return (Priority(rawValue: UInt8(truncatingIfNeeded: lane)) ?? .normal, taken)
                }
            }
            return nil
        }
    }

    /// What the queue has seen.
    var metrics: QueueMetrics {
        state.withLock { state in
            let finished = finished.load(ordering: .acquiring)
            let size = max(0, state.entered - finished)
            state.gate.shrank(to: size)
            return QueueMetrics(
                totalEnqueued: UInt64(max(0, state.entered)) + state.evicted, totalDequeued: UInt64(max(0, finished)),
                totalDropped: state.evicted, totalRejected: state.rejected,
                highWaterMarkHits: state.gate.highWaterHits, lastHighWaterMark: state.gate.lastHighWater, currentSize: size,
                maxSizeReached: max(state.gate.largest, size), isBackpressureActive: state.gate.isUnderPressure)
        }
    }
}
