import DequeModule
package import LLMgineCore
import LLMgineWire

package import struct NIOCore.ByteBuffer

// Publishers put messages in.
extension Outbox {
    /// Puts one message in line for the flows.
    /// - Parameters:
    ///   - now: the time, from which what is left of a time to live is counted; any other message has no use for it.
    ///   - expires: whether a message whose time is over is let go here. One that is kept by whoever sends it must not be.
    /// - Throws: `limitExceeded` for a message that no link may carry, or while everything that waits uses all topic numbers there are.
    package mutating func append(
        _ message: borrowing Message, sequence: UInt64, to ids: [UInt32], at now: Duration = .zero, expires: Bool = true
    )
        throws(LLMgineError) -> Appended
    {
        guard mindedFlows == 0 else { return try appendMinding(message, sequence: sequence, to: ids, at: now, expires: expires) }
        return try put(message, sequence: sequence, to: ids, at: now, expires: expires)
    }

    /// The same for flows of which each has room, or does what can be done at once.
    @inline(__always)  // a call more would be a 30th of what an append costs
    mutating func put(
        _ message: borrowing Message, sequence: UInt64, to ids: [UInt32], at now: Duration, expires: Bool
    )
        throws(LLMgineError) -> Appended
    {
        let measure = try MessageWriter.Measure(message, limits: wire)
        let numbers = try numbers(of: message)
        let lane = lane(for: ids, topic: numbers.topic)
        let index = Int(message.priority.rawValue)
        var evicted = 0
        let crowd = crowd(lane, index, measure.bound)
        if crowd.full > 0 {
            if crowd.isHolding {
                turnAway(lane, index, measure.bound)
                return .full
            }
            if crowd.refusing > 0 {
                let takers = takers(among: ids, index, measure.bound)
                guard !takers.isEmpty else { return .queued(evicted: 0, rejected: crowd.refusing) }
                guard case .queued(let evicted, let more) = try putSome(message, sequence: sequence, to: takers, at: now, expires: expires)
                else {
                    return .full
                }
                return .queued(evicted: evicted, rejected: crowd.refusing + more)
            }
            evicted = makeRoom(lane, index, measure.bound)
        }
        guard !lanes[lane].slots.isEmpty else { return .nobody }
        let chunk = chunk(lane, message.priority, topic: numbers.topic, sequence: sequence, length: measure.bound)
        let written = chunk.append(message, measure, numbers, sequence: sequence)
        for place in chunk.places { queues[place].count(messages: 1, bytes: written) }
        if expires, let timeToLive = message.timeToLive {
            chunk.note(deadline: now + timeToLive)
            hasDeadlines = true
        }
        return .queued(evicted: evicted, rejected: 0)
    }

    /// For those of the flows that do not refuse it.
    private mutating func putSome(
        _ message: borrowing Message, sequence: UInt64, to ids: [UInt32], at now: Duration, expires: Bool
    ) throws(LLMgineError) -> Appended {
        try put(message, sequence: sequence, to: ids, at: now, expires: expires)
    }

    /// Encodes one message for a REQUEST or REPLY frame; its numbers are announced ahead of the frame.
    /// - Throws: as `append`.
    package mutating func encode(_ message: borrowing Message) throws(LLMgineError) -> ByteBuffer {
        let measure = try MessageWriter.Measure(message, limits: wire)
        let numbers = try numbers(of: message)
        var run = ByteBuffer()
        MessageWriter.write(message, measure, topicRef: numbers.topic, typeRef: numbers.type, sequenceDelta: 0, into: &run)
        return run
    }

    // MARK: Room

    /// The queues of one set of flows that have no room for a message.
    private struct Crowd {
        var full = 0
        /// How many of them refuse it.
        var refusing = 0
        /// Whether the policy of one of them is that the publisher waits.
        var isHolding = false
    }

    @inline(__always)  // the compiler copies the whole outbox for the call of a function that only reads it
    private func crowd(_ lane: Int, _ index: Int, _ bytes: Int) -> Crowd {
        var crowd = Crowd()
        for slot in lanes[lane].slots where queues[slot * 4 + index].isFull(limits, adding: bytes) {
            crowd.full += 1
            if flows[slot].isRefusing { crowd.refusing += 1 }
            if flows[slot].holdsPublishers { crowd.isHolding = true }
        }
        return crowd
    }

    /// The publisher waits for all of them at once, and for each not longer than its deadline.
    private mutating func turnAway(_ lane: Int, _ index: Int, _ bytes: Int) {
        for slot in lanes[lane].slots where flows[slot].holdsPublishers && queues[slot * 4 + index].isFull(limits, adding: bytes) {
            turnAway(slot * 4 + index)
        }
    }

    mutating func turnAway(_ place: Int) {
        guard !queues[place].hasTurnedAway else { return }
        queues[place].hasTurnedAway = true
        flows[place / 4].turn &+= 1
        turnedAway.append(place)
    }

    /// The flows that do not refuse what comes while they are full.
    private func takers(among ids: [UInt32], _ index: Int, _ bytes: Int) -> [UInt32] {
        ids.filter { id in
            guard let slot = slots[id] else { return false }
            return !flows[slot].isRefusing || !queues[slot * 4 + index].isFull(limits, adding: bytes)
        }
    }

    /// The oldest go where there is no room. - Returns: how many went.
    private mutating func makeRoom(_ lane: Int, _ index: Int, _ bytes: Int) -> Int {
        var evicted = 0
        for slot in lanes[lane].slots { evicted += queues[slot * 4 + index].makeRoom(limits, adding: bytes) }
        return evicted
    }

    // MARK: Chunks

    private mutating func lane(for ids: [UInt32], topic: UInt32) -> Int {
        let number = Int(topic)
        // A topic mostly goes where it went before; equal arrays mostly are the same array, which costs no more than a look at both.
        let last = trails[number].lane
        if last < lanes.count, lanes[last].ids == ids { return last }
        let lane = laneIndex[ids] ?? addLane(for: ids)
        trails[number].lane = lane
        return lane
    }

    private mutating func addLane(for ids: [UInt32]) -> Int {
        if lanes.count >= limits.lanes { forgetLanes() }
        lanes.append(Lane(ids: ids, slots: ids.compactMap { slots[$0] }))
        laneIndex[ids] = lanes.count - 1
        return lanes.count - 1
    }

    /// Chunks that were open stay in their queues and go out as they are.
    mutating func forgetLanes() {
        lanes.removeAll(keepingCapacity: true)
        laneIndex.removeAll(keepingCapacity: true)
    }

    private mutating func chunk(_ lane: Int, _ priority: Priority, topic: UInt32, sequence: UInt64, length: Int) -> Chunk {
        let index = Int(priority.rawValue)
        if let open = lanes[lane].open[index], open.takes(length, sequence: sequence), keepsOrder(open, topic: topic) {
            trails[Int(topic)].serial = max(trails[Int(topic)].serial, open.serial)
            return open
        }
        if let last = lanes[lane].open[index] { lanes[lane].expected = last.length }
        lastSerial += 1
        let chunk = Chunk(
            serial: lastSerial, priority: priority, baseSequence: sequence, places: lanes[lane].slots.map { $0 * 4 + index },
            expecting: max(length, lanes[lane].expected))
        lanes[lane].open[index] = chunk
        trails[Int(topic)].serial = chunk.serial
        for place in chunk.places {
            queues[place].pieces.append(Piece(chunk: chunk))
            makeReady(place)
        }
        return chunk
    }

    /// Whether a message of the topic in this chunk comes after all earlier ones of it, in the queue of every flow: a topic moves from one
    /// set of flows to another when interest changes, and back, while the chunks of both are open. True if none went into a later chunk, or
    /// nothing at all stands behind this one.
    private func keepsOrder(_ chunk: Chunk, topic: UInt32) -> Bool {
        chunk.serial >= trails[Int(topic)].serial || chunk.places.allSatisfy { queues[$0].pieces.last?.chunk === chunk }
    }
}

// MARK: Numbers

extension Outbox {
    /// What the wire says for a topic and an event type, 0 for none.
    struct Numbers {
        let topic: UInt32
        let type: UInt32
    }

    private mutating func numbers(of message: borrowing Message) throws(LLMgineError) -> Numbers {
        if let numbers = try announced(message) { return numbers }
        renumber()
        if let numbers = try announced(message) { return numbers }
        throw LLMgineError(.limitExceeded, "all \(limits.texts) topic numbers of the link are used by what waits on it")
    }

    /// Nil when the table is full.
    private mutating func announced(_ message: borrowing Message) throws(LLMgineError) -> Numbers? {
        guard let topic = interned.reference(message.topic) else { return nil }
        if topic.isNew {
            send(.intern(InternFrame(id: topic.id, text: message.topic.text)))
            while trails.count <= Int(topic.id) { trails.append(Trail()) }
        }
        guard let name = message.eventType else { return Numbers(topic: topic.id, type: 0) }
        guard let type = try interned.reference(eventType: name) else { return nil }
        if type.isNew { send(.intern(InternFrame(id: type.id, text: name))) }
        return Numbers(topic: topic.id, type: type.id)
    }

    /// All numbers are given out: what waits is encoded anew with as few as it needs, and the others are free again. Rare, and in
    /// proportion to what waits: some 50 ns a message.
    private mutating func renumber() {
        finishParcels()
        var waiting: [ObjectIdentifier: Chunk] = [:]
        for queue in queues {
            for piece in queue.pieces { waiting[ObjectIdentifier(piece.chunk)] = piece.chunk }
        }
        var used: Set<UInt32> = []
        for chunk in waiting.values { chunk.collectNumbers(into: &used) }
        let kept = interned.startOver(keeping: used)
        var renewed: [UInt32: UInt32] = [0: 0]
        for (number, text) in zip(UInt32(1)..., kept) {
            send(.intern(InternFrame(id: number, text: text.text)))
            renewed[text.before] = number
        }
        for chunk in waiting.values { chunk.renumber(renewed) }
        for place in queues.indices { queues[place].recount() }
        trails = [Trail](repeating: Trail(), count: kept.count + 1)
        forgetLanes()  // the open chunks as well: what comes now goes behind all of them
    }
}
