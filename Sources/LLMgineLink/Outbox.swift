import DequeModule
package import LLMgineCore
package import LLMgineFlow
package import LLMgineWire
package import NIOCore

/// Everything that waits to go out on one link: control frames, and for each flow of the peer its queue, its credit and its policy.
///
/// A message is encoded once, into the open chunk of the set of flows that want it, and stays there until the chunk goes out as one DATA
/// frame. A frame names every flow that has the chunk at the head of its queue and the credit for it; the others get it later. Nothing is sent
/// without credit, so the peer never has a reason to stop reading, and control never waits behind data.
///
/// A value: the shell keeps it under the link's lock, publishers append, the event loop drains.
package struct Outbox {
    /// What one appended message led to.
    package enum Appended: Sendable, Equatable {
        /// In line for all but the flows that refused it. `evicted` counts older messages that went for it, over all flows.
        case queued(evicted: Int, rejected: Int)
        /// A flow whose policy is to wait has no room; nothing was taken.
        case full
    }

    /// How much of the peer's data may wait here for one flow.
    package struct Limits: Sendable {
        package var messages = 8192
        package var bytes = 4 << 20
        package init() {}
    }

    let limits: Limits
    let wire: WireLimits
    private(set) var control = ByteBuffer()
    private var interned = InternTable()
    private(set) var flows: [Flow] = []
    private var slots: [UInt32: Int] = [:]
    private var freeSlots: [Int] = []
    private var lanes: [Lane] = []
    private var laneIndex: [[UInt32]: Int] = [:]
    /// Whose turn it is among flows of one class.
    private var turn = 0
    /// Data messages that wait, over all flows.
    private var queuedPieces = 0
    /// Whether a publisher was turned away since the last drain and wants to hear of room.
    private var hasWaiters = false

    package init(limits: Limits = Limits(), wire: WireLimits = WireLimits()) {
        self.limits = limits
        self.wire = wire
    }

    // MARK: Flows

    /// The peer has subscribed.
    package mutating func opened(flow id: UInt32, whenFull: WhenFull, window: Credit) {
        guard slots[id] == nil else { return }
        let flow = Flow(id: id, whenFull: whenFull, purse: CreditPurse(granted: window))
        if let slot = freeSlots.popLast() {
            flows[slot] = flow
            slots[id] = slot
        } else {
            slots[id] = flows.count
            flows.append(flow)
        }
    }

    /// The subscription is gone, and so is what waits for it. - Returns: how many messages that were.
    @discardableResult
    package mutating func closed(flow id: UInt32) -> Int {
        guard let slot = slots.removeValue(forKey: id) else { return 0 }
        sealAll()
        let lost = flows[slot].queuedMessages
        queuedPieces -= flows[slot].pieceCount
        flows[slot] = Flow(id: id, whenFull: .dropOldest, purse: CreditPurse(granted: .none))
        flows[slot].isClosed = true
        freeSlots.append(slot)
        lanes.removeAll()
        laneIndex.removeAll()
        return lost
    }

    /// The peer grants credit. - Returns: whether something can go out now.
    package mutating func granted(flow id: UInt32, _ limit: Credit) -> Bool {
        guard let slot = slots[id] else { return false }
        flows[slot].purse.granted(limit)
        flows[slot].saidBlocked = false
        return flows[slot].queuedMessages > 0
    }

    /// Messages that could be sent to the flow right now.
    package func room(flow id: UInt32) -> Int {
        guard let slot = slots[id] else { return 0 }
        return Int(clamping: flows[slot].purse.room.messages) - flows[slot].queuedMessages
    }

    /// How long a publisher may be held back by these flows; zero where none of them asks for it.
    package func blockDeadline(flows ids: [UInt32]) -> Duration {
        ids.reduce(.zero) { longest, id in
            guard let slot = slots[id], case .block(let deadline) = flows[slot].whenFull else { return longest }
            return max(longest, deadline)
        }
    }

    /// Publishers no longer wait for those of the flows that are full, until they have caught up. - Returns: their ids.
    package mutating func demoted(flows ids: [UInt32]) -> [UInt32] {
        ids.filter { id in
            guard let slot = slots[id], flows[slot].isFull(limits, adding: 0) else { return false }
            flows[slot].isDemoted = true
            return true
        }
    }

    // MARK: Control

    /// Puts a frame ahead of all data.
    package mutating func send(_ frame: Frame) { frame.write(into: &control) }

    /// Bytes of control that wait. Past a bound the peer does not read, and the shell closes the link.
    package var controlBytes: Int { control.readableBytes }

    // MARK: Data

    /// Puts one message in line for the flows.
    /// - Throws: `limitExceeded` for a message that no link may carry.
    package mutating func append(_ message: borrowing Message, sequence: UInt64, to ids: [UInt32]) throws(LLMgineError) -> Appended {
        let payloadBytes = message.payload.readableBytes
        try MessageFields.check(headers: message.headers, session: message.session, payloadBytes: payloadBytes, limits: wire)
        var evicted = 0
        var refusals = 0
        let lane = self.lane(for: ids)
        for slot in lanes[lane].slots where flows[slot].isFull(limits, adding: payloadBytes) {
            switch (flows[slot].whenFull, flows[slot].isDemoted) {
            case (.block, false):
                hasWaiters = true
                return .full
            case (.rejectNew, _): refusals += 1
            case (.block, true), (.dropOldest, _): continue
            }
        }
        guard refusals == 0 else { return try append(message, sequence: sequence, exceptFullOf: ids, refusals: refusals, payloadBytes: payloadBytes) }
        guard !lanes[lane].slots.isEmpty else { return .queued(evicted: 0, rejected: 0) }
        guard let topic = interned.reference(message.topic), let type = try reference(eventType: message.eventType) else {
            return startOver()
        }
        announce(topic, message.topic.text)
        if let type, let name = message.eventType { announce(type, name) }
        for slot in lanes[lane].slots {
            while flows[slot].isFull(limits, adding: payloadBytes), let gone = evictOldest(slot: slot) { evicted += gone }
        }
        var fields = MessageFields(
            topicRef: topic.id, typeRef: type?.id ?? 0, trace: message.trace, headers: message.headers, timeToLive: message.timeToLive,
            session: message.session)
        let chunk = openChunk(lane: lane, priority: message.priority, sequence: sequence, length: MessageFields.bound(fields, payloadBytes))
        fields.sequenceDelta = UInt32(truncatingIfNeeded: sequence &- chunk.baseSequence)
        MessageWriter.write(fields, payload: message.payload, into: &chunk.buffer)
        chunk.count += 1
        chunk.payloadBytes += payloadBytes
        for slot in lanes[lane].slots { flows[slot].count(messages: 1, bytes: payloadBytes) }
        return .queued(evicted: evicted, rejected: 0)
    }

    private mutating func append(
        _ message: borrowing Message, sequence: UInt64, exceptFullOf ids: [UInt32], refusals: Int, payloadBytes: Int
    ) throws(LLMgineError) -> Appended {
        var rest: [UInt32] = []
        for id in ids {
            if let slot = slots[id], !(flows[slot].whenFull == .rejectNew && flows[slot].isFull(limits, adding: payloadBytes)) { rest.append(id) }
        }
        guard !rest.isEmpty else { return .queued(evicted: 0, rejected: refusals) }
        guard case .queued(let evicted, let rejected) = try append(message, sequence: sequence, to: rest) else { return .full }
        return .queued(evicted: evicted, rejected: rejected + refusals)
    }

    /// Encodes one message for a REQUEST or REPLY frame; its numbers are announced ahead of the frame.
    /// - Throws: `limitExceeded` for a message that no link may carry, or when all numbers are in use and data still waits.
    package mutating func encode(_ message: borrowing Message) throws(LLMgineError) -> ByteBuffer {
        try MessageFields.check(headers: message.headers, session: message.session, payloadBytes: message.payload.readableBytes, limits: wire)
        if queuedPieces == 0, interned.count + 2 > WireLimits.internedTexts { interned.startOver() }
        guard let topic = interned.reference(message.topic), let type = try reference(eventType: message.eventType) else {
            throw LLMgineError(.limitExceeded, "the link has used all \(WireLimits.internedTexts) topic numbers; it starts over once its queues are empty")
        }
        announce(topic, message.topic.text)
        if let type, let name = message.eventType { announce(type, name) }
        let fields = MessageFields(
            topicRef: topic.id, typeRef: type?.id ?? 0, trace: message.trace, headers: message.headers, timeToLive: message.timeToLive,
            session: message.session)
        var run = ByteBuffer()
        MessageWriter.write(fields, payload: message.payload, into: &run)
        return run
    }

    /// Double optional: nil when the table is full, `.some(nil)` for bytes without a type.
    private mutating func reference(eventType name: String?) throws(LLMgineError) -> InternTable.Reference?? {
        guard let name else { return .some(nil) }
        guard let reference = try interned.reference(eventType: name) else { return nil }
        return .some(reference)
    }

    private mutating func announce(_ reference: InternTable.Reference, _ text: String) {
        if reference.isNew { send(.intern(InternFrame(id: reference.id, text: text))) }
    }

    /// All 65,536 numbers are in use. They can be given out again once nothing waits that was encoded with them; until then publishers wait.
    private mutating func startOver() -> Appended {
        if queuedPieces == 0 { interned.startOver() }
        hasWaiters = true
        return .full
    }

    // MARK: Chunks

    private mutating func lane(for ids: [UInt32]) -> Int {
        if let known = laneIndex[ids] { return known }
        let index = lanes.count
        lanes.append(Lane(slots: ids.compactMap { slots[$0] }))
        laneIndex[ids] = index
        sealAll()  // an event of one topic must not overtake one that waits in another lane's open chunk
        return index
    }

    private mutating func openChunk(lane: Int, priority: Priority, sequence: UInt64, length: Int) -> Chunk {
        let index = Int(priority.rawValue)
        if let open = lanes[lane].open[index], open.isOpen, open.fits(length, sequence: sequence) { return open }
        if let last = lanes[lane].open[index] {
            last.isOpen = false
            lanes[lane].lastSize = min(last.buffer.readableBytes, Chunk.recordBytes - Chunk.headroom)
        }
        let chunk = Chunk(priority: priority, baseSequence: sequence, expecting: max(length, lanes[lane].lastSize))
        lanes[lane].open[index] = chunk
        for slot in lanes[lane].slots {
            flows[slot].queues[index].append(Piece(chunk: chunk))
            queuedPieces += 1
        }
        return chunk
    }

    private mutating func sealAll() {
        for lane in lanes.indices {
            for index in 0..<4 {
                lanes[lane].open[index]?.isOpen = false
                lanes[lane].open[index] = nil
            }
        }
    }

    /// Lets the oldest message of the flow's least urgent class go. - Returns: nil when there is none.
    private mutating func evictOldest(slot: Int) -> Int? {
        for index in (0..<4).reversed() {
            guard var piece = flows[slot].queues[index].first else { continue }
            guard let cut = try? MessageCut(of: piece.rest, maximumMessages: 1, maximumPayloadBytes: .max), cut.messages == 1 else { continue }
            piece.skip(cut)
            if piece.count == 0 {
                piece.chunk.isOpen = false
                flows[slot].queues[index].removeFirst()
                queuedPieces -= 1
            } else {
                flows[slot].queues[index][0] = piece
            }
            flows[slot].count(messages: -1, bytes: -cut.payloadBytes)
            flows[slot].gaps[index] += 1
            return 1
        }
        return nil
    }

    // MARK: Draining

    /// What the event loop has to write now, and whether publishers that were turned away may try again.
    package struct Drained {
        package var buffers: [ByteBuffer] = []
        package var bytes = 0
        /// More could go out than `maximum` allowed.
        package var hasMore = false
        package var madeRoom = false
    }

    /// Takes out what credit allows: control first, then data by class, flows in turn, up to about so many bytes.
    package mutating func drain(maximum: Int) -> Drained {
        var drained = Drained()
        for index in 0..<4 {
            for step in 0..<flows.count {
                let slot = (turn + step) % flows.count
                while drained.bytes < maximum, sendHead(of: slot, index, into: &drained) {}
                if drained.bytes >= maximum {
                    drained.hasMore = true
                    break
                }
            }
        }
        turn = flows.isEmpty ? 0 : (turn + 1) % flows.count
        drained.madeRoom = noteRoom()
        guard control.readableBytes > 0 else { return drained }
        drained.bytes += control.readableBytes
        drained.buffers.insert(control, at: 0)  // numbers are announced before the data that uses them
        control = ByteBuffer()
        return drained
    }

    /// Sends the head of one queue to every flow that waits for the same bytes and can pay. False when there is nothing to send.
    private mutating func sendHead(of slot: Int, _ index: Int, into drained: inout Drained) -> Bool {
        guard var piece = flows[slot].queues[index].first, !flows[slot].isClosed else { return false }
        let room = flows[slot].purse.room
        var cut = (messages: piece.count, bytes: piece.length, payload: piece.payloadBytes)
        if UInt64(cut.messages) > room.messages || UInt64(cut.payload) > room.bytes {
            guard room.messages > 0,
                let part = try? MessageCut(of: piece.rest, maximumMessages: Int(clamping: room.messages), maximumPayloadBytes: Int(clamping: room.bytes)),
                part.messages > 0
            else {
                sayBlocked(slot)
                return false
            }
            cut = (part.messages, part.bytes, part.payloadBytes)
        }
        var ids: [UInt32] = []
        var paid: [Int] = []
        let sharers = piece.chunk.count == cut.messages && piece.skipped == 0 ? flows.indices.filter { $0 != slot && shares($0, index, piece, cut.messages, cut.payload) } : []
        for other in [slot] + sharers where flows[other].purse.spend(messages: cut.messages, bytes: cut.payload) {
            ids.append(flows[other].id)
            paid.append(other)
            announceGap(other, index)
        }
        guard !ids.isEmpty else { return false }
        piece.chunk.isOpen = false
        drained.append(piece.frame(for: ids, messages: cut.messages, bytes: cut.bytes))
        for other in paid { flows[other].advance(index, messages: cut.messages, bytes: cut.bytes, payload: cut.payload, &queuedPieces) }
        piece.skip(messages: cut.messages, bytes: cut.bytes, payload: cut.payload)
        return true
    }

    /// Whether another flow has exactly the same bytes at its head, and the credit for them.
    private func shares(_ slot: Int, _ index: Int, _ piece: Piece, _ messages: Int, _ bytes: Int) -> Bool {
        guard let head = flows[slot].queues[index].first, head.chunk === piece.chunk, head.skipped == piece.skipped else { return false }
        let room = flows[slot].purse.room
        return UInt64(messages) <= room.messages && UInt64(bytes) <= room.bytes
    }

    private mutating func announceGap(_ slot: Int, _ index: Int) {
        let count = flows[slot].gaps[index]
        guard count > 0, let priority = Priority(rawValue: UInt8(truncatingIfNeeded: index)) else { return }
        send(.gap(GapFrame(flow: flows[slot].id, priority: priority, count: UInt64(count))))
        flows[slot].gaps[index] = 0
    }

    private mutating func sayBlocked(_ slot: Int) {
        guard !flows[slot].saidBlocked else { return }
        flows[slot].saidBlocked = true
        let sent = flows[slot].purse.sent
        send(.blocked(BlockedFrame(flow: flows[slot].id, atMessages: sent.messages, atBytes: sent.bytes)))
    }

    /// Whether publishers that were turned away may try again: every flow is down to half of its room.
    private mutating func noteRoom() -> Bool {
        for slot in flows.indices where flows[slot].isDemoted && flows[slot].queuedMessages == 0 { flows[slot].isDemoted = false }
        guard hasWaiters else { return false }
        let stillFull = flows.contains { flow in
            guard case .block = flow.whenFull, !flow.isDemoted else { return false }
            return flow.queuedMessages * 2 > limits.messages || flow.queuedBytes * 2 > limits.bytes
        }
        guard !stillFull else { return false }
        hasWaiters = false
        return true
    }

    /// Everything that waits, by flow: what is lost if the link ends now.
    package var queued: [(flow: UInt32, messages: Int)] {
        flows.filter { !$0.isClosed && $0.queuedMessages > 0 }.map { ($0.id, $0.queuedMessages) }
    }
}

extension Outbox.Drained {
    fileprivate mutating func append(_ buffer: ByteBuffer) {
        bytes += buffer.readableBytes
        buffers.append(buffer)
    }
}

extension MessageFields {
    /// At least the bytes that the message will take.
    fileprivate static func bound(_ fields: MessageFields, _ payloadBytes: Int) -> Int { MessageWriter.length(of: fields, payloadBytes: payloadBytes) + 5 }
}
