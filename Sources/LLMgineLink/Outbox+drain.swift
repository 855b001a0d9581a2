import DequeModule
import LLMgineCore
import LLMgineFlow
import LLMgineWire

package import struct NIOCore.ByteBuffer

// The event loop takes frames out.
extension Outbox {
    /// What the event loop has to write now, and whether publishers that were turned away may try again.
    package struct Drained {
        package var buffers: [ByteBuffer] = []
        package var bytes = 0
        /// How many messages of events are in them, each counted once.
        package var messages = 0
        /// More could go out than `maximum` allowed.
        package var hasMore = false
        package var madeRoom = false
        /// Whether the first buffer is control. Each of the others is one frame.
        package var hasControl = false
    }

    /// Takes out what credit allows: control first, then data as the classes share the link, flows in turn frame by frame, up to about so
    /// many bytes. - Parameter now: the time on the clock of ``append(_:sequence:to:at:)``.
    package mutating func drain(maximum: Int, at now: Duration = .zero) -> Drained {
        self.now = now
        if mindedFlows > 0 { releaseHeld() }
        var drained = Drained()
        while drained.bytes < maximum, let index = nextClass(), let turn = ready[index].popFirst() {
            let before = drained.bytes
            if turn < 0 {
                sendPart(of: ~turn, into: &drained)
            } else {
                queues[turn].isReady = false
                if sendHead(of: turn, into: &drained) { makeReady(turn) }
            }
            classes.sent(drained.bytes - before, of: index)
        }
        for index in 0..<4 where !ready[index].isEmpty { drained.hasMore = true }
        drained.madeRoom = noteRoom()
        guard control.readableBytes > 0 else { return drained }
        drained.bytes += control.readableBytes
        drained.hasControl = true
        drained.buffers.insert(control, at: 0)  // numbers are announced before the data that uses them
        control = ByteBuffer()
        return drained
    }

    private mutating func nextClass() -> Int? {
        let isReady: InlineArray<4, Bool> = [!ready[0].isEmpty, !ready[1].isEmpty, !ready[2].isEmpty, !ready[3].isEmpty]
        return classes.next { isReady[$0] }
    }

    /// Whether a drain might find something.
    package var hasWork: Bool {
        if control.readableBytes > 0 { return true }
        for index in 0..<4 where !ready[index].isEmpty { return true }
        return false
    }

    /// Sends the head of one queue to every flow that waits for the same messages and can pay. False when there is nothing to send.
    private mutating func sendHead(of place: Int, into drained: inout Drained) -> Bool {
        guard queues[place].parcel == 0 else { return false }  // begun by another flow since the place had got its turn
        queues[place].settle()
        if hasDeadlines { queues[place].expire(at: now) }
        guard let piece = queues[place].pieces.first else {
            if queues[place].heldCount > 0 { sayBlocked(place, before: nil) }
            return false
        }
        guard let cut = piece.cut(to: queues[place].purse.room) else {
            sayBlocked(place, before: piece)
            return false
        }
        piece.chunk.close()
        let isLong = isLong(cut)
        var payers: [Int] = []
        var ids: [UInt32] = []
        pay(place, cut, &ids)
        if isLong { payers.append(place) }
        if piece.chunk.places.count > 1 {
            for other in piece.chunk.places where other != place && ids.count < WireLimits.flowsPerData {
                queues[other].settle()
                guard shares(other, piece, cut) else { continue }
                pay(other, cut, &ids)
                if isLong { payers.append(other) }
            }
        }
        drained.messages += cut.messages
        if isLong {
            beginParcel(piece, cut, places: payers, flows: ids)
            sendPart(of: lastParcel, into: &drained)
        } else {
            let frame = piece.frame(of: cut, for: ids, at: now)
            drained.bytes += frame.readableBytes
            drained.buffers.append(frame)
        }
        return true
    }

    /// Sends one part of a parcel, which then waits for its next turn.
    private mutating func sendPart(of number: Int, into drained: inout Drained) {
        guard number < Outbox.firstCall else { return sendCallPart(number, into: &drained) }
        guard let index = parcels[number]?.index, let part = nextPart(of: number) else { return }
        drained.bytes += part.readableBytes
        drained.buffers.append(part)
        if parcels[number] != nil { ready[index].append(~number) }
    }

    /// Whether another flow has exactly the same messages at its head, and the credit for them.
    private func shares(_ place: Int, _ piece: Piece, _ cut: MessageCut) -> Bool {
        guard queues[place].parcel == 0, let head = queues[place].pieces.first, head.chunk === piece.chunk, head.skipped == piece.skipped
        else { return false }
        let room = queues[place].purse.room
        return UInt64(cut.messages) <= room.messages && UInt64(cut.payloadBytes) <= room.bytes
    }

    private mutating func pay(_ place: Int, _ cut: MessageCut, _ ids: inout [UInt32]) {
        let isPaid = queues[place].purse.spend(messages: cut.messages, bytes: cut.payloadBytes)
        precondition(isPaid, "a flow was charged more than its room")
        announceGap(place)
        queues[place].dropFirst(cut)
        ids.append(flows[place / 4].id)
    }

    mutating func announceGap(_ place: Int) {
        let (evicted, expired) = (queues[place].gap, queues[place].expired)
        guard evicted + expired > 0, let priority = Priority(rawValue: UInt8(truncatingIfNeeded: place & 3)) else { return }
        let flow = flows[place / 4].id
        if evicted > 0 { send(.gap(GapFrame(flow: flow, priority: priority, cause: .evicted, count: UInt64(evicted)))) }
        if expired > 0 { send(.gap(GapFrame(flow: flow, priority: priority, cause: .expired, count: UInt64(expired)))) }
        queues[place].gap = 0
        queues[place].expired = 0
    }

    /// Time has passed: the oldest messages go whose time is over, and the peer is told of them, for it may be long before something else comes.
    package mutating func expire(at now: Duration) {
        guard hasDeadlines else { return }
        hasDeadlines = false
        for place in queues.indices {
            queues[place].expire(at: now)
            if queues[place].expired > 0 { announceGap(place) }
            if queues[place].pieces.contains(where: { !$0.chunk.deadlines.isEmpty }) { hasDeadlines = true }
            if queues[place].held?.hasDeadlines ?? false { hasDeadlines = true }
        }
        if calls.values.contains(where: { $0.expires != nil && $0.rest == nil }) { hasDeadlines = true }
    }

    private mutating func sayBlocked(_ place: Int, before piece: Piece?) {
        guard !queues[place].saidBlocked, let priority = Priority(rawValue: UInt8(truncatingIfNeeded: place & 3)) else { return }
        queues[place].saidBlocked = true
        let sent = queues[place].purse.sent
        send(
            .blocked(
                BlockedFrame(
                    flow: flows[place / 4].id, priority: priority, atMessages: sent.messages, atBytes: sent.bytes,
                    nextBytes: UInt64(piece?.first(1)?.payloadBytes ?? queues[place].held?.first?.message.payload.readableBytes ?? 0),
                    waitingMessages: UInt64(queues[place].messages + queues[place].heldCount),
                    waitingBytes: UInt64(queues[place].bytes + (queues[place].held?.bytes ?? 0)))))
    }

    /// Whether publishers that were turned away may try again: a queue that turned one away is down to half of its room, or it holds none
    /// back any more. Said once; a drain says it too.
    package mutating func noteRoom() -> Bool {
        if !slow.isEmpty {
            for slot in slow where queuedMessages(slot) == 0 { flows[slot].isDemoted = false }
            slow.removeAll { !flows[$0].isDemoted }
        }
        guard madeRoom || !turnedAway.isEmpty else { return false }
        for place in turnedAway where queues[place].isHalfEmpty(limits) {
            queues[place].hasTurnedAway = false
            madeRoom = true
        }
        turnedAway.removeAll { !queues[$0].hasTurnedAway }
        defer { madeRoom = false }
        return madeRoom
    }
}
