import LLMgineCore
import LLMgineWire

import struct NIOCore.ByteBuffer
import struct NIOCore.ByteBufferAllocator

// Long messages go out in parts.
extension Outbox {
    /// A message on its way in parts: out of its queues and paid for, and nothing of the same flow and class goes before its end.
    struct Parcel {
        let number: Int
        let places: [Int]
        let flows: [UInt32]
        let index: Int
        /// For the first part.
        var head: FragmentFrame.Head?
        /// What is still to be sent.
        var rest: ByteBuffer
    }

    /// Whether what is cut off the head of a queue goes in parts: one message that is longer than a TLS record.
    func isLong(_ cut: MessageCut) -> Bool {
        cut.messages == 1 && cut.bytes > Chunk.recordBytes && parcels.count < WireLimits.openFragments
    }

    /// Takes on the message at the head of some queues, which have paid for it. Its first part must go at once, before anything else is said of
    /// their credit; the parcel then takes turns in its class like a flow.
    mutating func beginParcel(_ piece: Piece, _ cut: MessageCut, places: [Int], flows: [UInt32]) {
        lastParcel += 1
        let index = places[0] & 3
        let bytes = piece.bytes(of: cut, at: now)
        let head = FragmentFrame.Head(
            priority: piece.chunk.priority, flows: flows, baseSequence: piece.chunk.baseSequence, payloadBytes: UInt64(cut.payloadBytes),
            length: UInt64(bytes.readableBytes))
        parcels[lastParcel] = Parcel(
            number: lastParcel, places: places, flows: flows, index: index, head: head, rest: bytes)
        for place in places { queues[place].parcel = lastParcel }
    }

    /// Takes the next part of a parcel, as a frame that fills a TLS record. Nil once there is none; its flows may then go on.
    mutating func nextPart(of number: Int) -> ByteBuffer? {
        guard var parcel = parcels[number] else { return nil }
        var frame = ByteBufferAllocator().buffer(capacity: Chunk.recordBytes)
        let room = Chunk.recordBytes - Outbox.partHeader - (parcel.head == nil ? 0 : Chunk.headroom(flows: parcel.flows.count))
        let length = min(room, parcel.rest.readableBytes)
        guard length > 0, let part = parcel.rest.readSlice(length: length) else { return nil }
        let isLast = parcel.rest.readableBytes == 0
        FragmentFrame.writeHeader(
            number: UInt64(number), head: parcel.head, isLast: isLast, partLength: length, into: &frame)
        frame.writeImmutableBuffer(part)
        parcel.head = nil
        parcels[number] = isLast ? nil : parcel
        if isLast { end(parcel) }
        return frame
    }

    /// 4 length, 2 type and flags, 10 number, 1 part; a first part says as much as DATA and two lengths of 10 more, less what both begin with.
    private static let partHeader = 17 + 20

    private mutating func end(_ parcel: Parcel) {
        for place in parcel.places where queues[place].parcel == parcel.number {
            queues[place].parcel = 0
            makeReady(place)
        }
    }

    /// Sends what is left of all parcels, and of calls that go in parts, ahead of everything that follows: numbers that they use are about to mean something else.
    mutating func finishParcels() {
        guard !parcels.isEmpty || !calls.isEmpty else { return }
        for number in parcels.keys.sorted() {
            while var part = nextPart(of: number) { control.writeBuffer(&part) }
        }
        finishCalls()
        for index in 0..<4 { ready[index].removeAll { $0 < 0 } }
    }
}
