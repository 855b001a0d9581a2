package import LLMgineCore
import LLMgineFlow
import LLMgineWire

// What publishers meet while flows are open that slow them down, or that keep the newest of each key.
extension Outbox {
    /// An event that waits for credit where a newer one of its key may supersede it.
    struct Held: Sendable {
        var message: Message
        let sequence: UInt64
        /// About what it takes, as encoded.
        let bytes: Int
        let deadline: Duration?
    }

    /// What waits for credit in one class of a flow that keeps the newest of each key.
    struct HeldQueue: Sendable {
        private(set) var events = Conflation<Held>()
        private(set) var bytes = 0
        /// Events that went since the subscriber was told of some.
        var gap = 0

        var count: Int { events.count }
        var first: Held? { events.first }

        /// - Returns: how many older events went for it.
        mutating func append(_ held: Held, key: String?, _ limits: Limits) -> Int {
            var lost = 0
            bytes += held.bytes
            if let older = events.append(held, key: key) {
                bytes -= older.bytes
                lost += 1
            }
            while events.count > limits.messages || (events.count > 1 && bytes > limits.bytes), removeFirst() != nil { lost += 1 }
            gap += lost
            return lost
        }

        var hasDeadlines: Bool { events.elements.contains { $0.deadline != nil } }

        mutating func removeFirst() -> Held? {
            guard let first = events.popFirst() else { return nil }
            bytes -= first.bytes
            return first
        }
    }

    /// ``append(_:sequence:to:at:expires:)`` while there are such flows.
    mutating func appendMinding(
        _ message: borrowing Message, sequence: UInt64, to ids: [UInt32], at now: Duration, expires: Bool
    ) throws(LLMgineError) -> Appended {
        let index = Int(message.priority.rawValue)
        if let rest = pause(before: ids, index, at: now) { return .paced(rest) }
        let bound = try MessageWriter.Measure(message, limits: wire).bound
        let held = ids.filter { id in slots[id].map { holds($0, index, bound) } ?? false }
        let others = held.isEmpty ? ids : ids.filter { !held.contains($0) }
        var (evicted, rejected) = (0, 0)
        if !others.isEmpty {
            switch try put(message, sequence: sequence, to: others, at: now, expires: expires) {
            case .queued(let gone, let refused):
                (evicted, rejected) = (gone, refused)
                for id in others { admitted(id, index, at: now) }
            case .nobody: if held.isEmpty { return .nobody }
            case .full, .paced: return .full
            }
        }
        let deadline = expires ? message.timeToLive.map { now + $0 } : nil
        for id in held {
            guard let slot = slots[id], case .conflate(let key) = flows[slot].whenFull else { continue }
            let place = slot * 4 + index
            let event = Held(message: copy message, sequence: sequence, bytes: bound, deadline: deadline)
            if queues[place].held == nil { queues[place].held = HeldQueue() }
            evicted += queues[place].held?.append(event, key: key.value(topic: message.topic, headers: message.headers), limits) ?? 0
            if deadline != nil { hasDeadlines = true }
            makeReady(place)
        }
        return .queued(evicted: evicted, rejected: rejected)
    }

    /// The policy of a flow needs more than a look at its room. - Parameter change: 1 when it opens, -1 when it closes.
    mutating func note(_ whenFull: WhenFull, _ change: Int) {
        switch whenFull {
        case .block, .dropOldest, .rejectNew, .spill: return
        case .adaptiveRateLimit: pacedFlows += change
        case .conflate: break
        }
        mindedFlows += change
    }

    /// Messages for a flow are gone that were kept elsewhere: the next one of the class tells the peer, or a frame of its own if none waits, for
    /// it may be long before one comes. - Parameter priority: ordinary if it is not known what their class was.
    package mutating func lost(_ count: Int, flow id: UInt32, _ priority: Priority = .normal) {
        guard let place = place(of: id, priority) else { return }
        queues[place].gap += count
        if queues[place].messages == 0 { announceGap(place) }
    }

    // MARK: Pace

    /// How long the publisher waits before the first of the flows that is not ready for it.
    private mutating func pause(before ids: [UInt32], _ index: Int, at now: Duration) -> Duration? {
        guard pacedFlows > 0 else { return nil }
        for id in ids {
            guard let slot = slots[id], case .adaptiveRateLimit(let deadline) = flows[slot].whenFull, !flows[slot].isDemoted else {
                continue
            }
            let place = slot * 4 + index
            let filled = queues[place].filled(limits)
            if queues[place].pace == nil {
                guard filled >= 0.75 else { continue }
                queues[place].pace = GrantPace(at: now, patience: deadline)
            } else if filled <= 0.25 {
                queues[place].pace = nil
                continue
            }
            guard filled < 1, let rest = queues[place].pace?.rest(at: now, filled: filled) else { continue }
            turnAway(place)
            return rest
        }
        return nil
    }

    private mutating func admitted(_ id: UInt32, _ index: Int, at now: Duration) {
        guard pacedFlows > 0, let slot = slots[id] else { return }
        let place = slot * 4 + index
        let filled = queues[place].filled(limits)
        queues[place].pace?.admitted(at: now, filled: filled)
    }

    // MARK: What waits for credit

    /// Whether an event for the flow must wait where a newer one may supersede it.
    private func holds(_ slot: Int, _ index: Int, _ bytes: Int) -> Bool {
        guard case .conflate = flows[slot].whenFull else { return false }
        let place = slot * 4 + index
        return queues[place].heldCount > 0 || !affords(place, bytes)
    }

    /// Whether one more message could go out. One that has all messages before it sent is let through to the head of the line with too little
    /// credit in bytes: there the subscriber is asked for exactly what is missing.
    private func affords(_ place: Int, _ bytes: Int) -> Bool {
        let room = queues[place].purse.room
        guard room.messages > UInt64(queues[place].messages) else { return false }
        return queues[place].messages == 0
            || (room.bytes >= UInt64(queues[place].bytes + bytes) && !queues[place].isFull(limits, adding: bytes))
    }

    /// Puts in line what has waited for credit and has it now. Only between two drains: numbers may change their meaning.
    mutating func releaseHeld() {
        for slot in flows.indices {
            guard case .conflate = flows[slot].whenFull else { continue }
            for place in places(of: slot) where queues[place].heldCount > 0 { release(place, for: flows[slot].id) }
        }
    }

    private mutating func release(_ place: Int, for id: UInt32) {
        while let next = queues[place].held?.first, affords(place, next.bytes), var held = queues[place].held?.removeFirst() {
            queues[place].gap += queues[place].held?.gap ?? 0
            queues[place].held?.gap = 0
            if let deadline = held.deadline {
                guard deadline > now else {
                    queues[place].expired += 1
                    continue
                }
                held.message.timeToLive = deadline - now
            }
            do throws(LLMgineError) {
                _ = try put(held.message, sequence: held.sequence, to: [id], at: now, expires: held.deadline != nil)
            } catch {
                queues[place].gap += 1  // what waits uses all topic numbers there are
            }
        }
    }
}

extension Outbox.Queue {
    /// The share of the room that is taken.
    fileprivate func filled(_ limits: Outbox.Limits) -> Double {
        max(Double(messages) / Double(limits.messages), Double(bytes) / Double(limits.bytes))
    }

    var heldCount: Int { held?.count ?? 0 }
}
