import LLMgineCore
import LLMgineFlow
import LLMgineWire
import NIOCore

extension Outbox {
    /// Messages for one set of flows, encoded, as they will go out. Shared by the flows' queues; only an open one grows, and it stands in
    /// the queue of each of its flows.
    final class Chunk {
        /// Chunks with higher ones stand behind this one in every queue.
        let serial: UInt64
        let priority: Priority
        let baseSequence: UInt64
        /// The queues that it stood in at first; another flow may have taken the place of one that was closed.
        let places: [Int]
        // Safe: a chunk belongs to one outbox, which is not copied and is used by one thread at a time, and nothing that happens during an
        // access to `run` comes back to it. The checks would be a sixth of what an append costs.
        @exclusivity(unchecked) private var run: Run

        /// A frame of one chunk fills one TLS record, whose plain text is at most 16 KiB.
        static let recordBytes = 16 << 10

        init(serial: UInt64, priority: Priority, baseSequence: UInt64, places: [Int], expecting length: Int) {
            self.serial = serial
            self.priority = priority
            self.baseSequence = baseSequence
            self.places = places
            unsafe self.run = Run(headroom: Chunk.headroom(flows: places.count), expecting: length)
        }

        /// Room for the header of a frame: 4 length, 2 type and flags, 1 class, 2 number of flows, 5 each, 8 base, 5 count.
        static func headroom(flows: Int) -> Int { 22 + 5 * min(flows, WireLimits.flowsPerData) }

        /// - Returns: the bytes that the message takes.
        func append(_ message: borrowing Message, _ measure: MessageWriter.Measure, _ numbers: Numbers, sequence: UInt64) -> Int {
            unsafe run.append(message, measure, numbers, delta: UInt32(truncatingIfNeeded: sequence &- baseSequence))
        }

        /// Whether one more message keeps the frame within a TLS record, and its sequence within the base's reach.
        func takes(_ length: Int, sequence: UInt64) -> Bool {
            unsafe run.isOpen && run.buffer.writerIndex + length <= Chunk.recordBytes && sequence >= baseSequence
                && sequence - baseSequence <= UInt64(UInt32.max)
        }

        /// When the time of messages is over, by their position; most have none.
        private(set) var deadlines: [Int: Duration] = [:]

        /// The message that was appended last has a time to live.
        func note(deadline: Duration) { deadlines[count - 1] = deadline }

        /// It grows no more.
        func close() { unsafe run.isOpen = false }

        var count: Int { unsafe run.count }
        var length: Int { unsafe run.buffer.readableBytes }
        var payloadBytes: Int { unsafe run.payloadBytes }

        /// The messages from a position on, in bytes.
        func messages(from offset: Int) -> ByteBuffer {
            unsafe run.buffer.getSlice(at: run.buffer.readerIndex + offset, length: length - offset) ?? ByteBuffer()
        }

        /// A frame of all messages, nil if the header does not fit in front of them.
        func frame(_ header: ByteBuffer) -> ByteBuffer? { unsafe run.frame(header) }

        func collectNumbers(into used: inout Set<UInt32>) { unsafe run.collectNumbers(into: &used) }
        func renumber(_ numbers: [UInt32: UInt32]) { unsafe run.renumber(numbers) }
    }

    /// The bytes of a chunk. Apart from it, so that an append is one access to the object.
    struct Run {
        /// Room for a frame header, then the messages: so the header goes in front without moving anything.
        private(set) var buffer: ByteBuffer
        private(set) var count = 0
        private(set) var payloadBytes = 0
        var isOpen = true
        let headroom: Int

        init(headroom: Int, expecting length: Int) {
            self.headroom = headroom
            buffer = Run.empty(headroom: headroom, expecting: length)
        }

        private static func empty(headroom: Int, expecting length: Int) -> ByteBuffer {
            var buffer = ByteBufferAllocator().buffer(capacity: headroom + min(length, max(0, Chunk.recordBytes - headroom)))
            buffer.moveWriterIndex(to: headroom)
            buffer.moveReaderIndex(to: headroom)
            return buffer
        }

        /// - Returns: the bytes that the message takes.
        mutating func append(_ message: borrowing Message, _ measure: MessageWriter.Measure, _ numbers: Numbers, delta: UInt32) -> Int {
            let start = buffer.writerIndex
            MessageWriter.write(message, measure, topicRef: numbers.topic, typeRef: numbers.type, sequenceDelta: delta, into: &buffer)
            count += 1
            payloadBytes += message.payload.readableBytes
            return buffer.writerIndex - start
        }

        /// A frame of all messages, with the header in front of them. The bytes are copied only if an earlier frame still holds them.
        mutating func frame(_ header: ByteBuffer) -> ByteBuffer? {
            guard header.readableBytes <= headroom else { return nil }
            let start = headroom - header.readableBytes
            buffer.setBuffer(header, at: start)
            var frame = buffer
            frame.moveReaderIndex(to: start)
            return frame
        }

        func collectNumbers(into used: inout Set<UInt32>) {
            buffer.forEachMessage { message in
                used.insert(message.topicRef)
                used.insert(message.typeRef)
            }
            used.remove(0)
        }

        /// Encodes the messages anew with other numbers, none of which is higher than the one before.
        mutating func renumber(_ numbers: [UInt32: UInt32]) {
            var renewed = Run.empty(headroom: headroom, expecting: buffer.readableBytes)
            buffer.forEachMessage { message in
                let fields = MessageFields(
                    topicRef: numbers[message.topicRef] ?? 0, typeRef: numbers[message.typeRef] ?? 0,
                    sequenceDelta: UInt32(truncatingIfNeeded: message.sequence), trace: message.trace, headers: message.headers,
                    timeToLive: message.timeToLive, session: message.session)
                MessageWriter.write(fields, payload: message.payload, into: &renewed)
            }
            buffer = renewed
        }
    }

    /// What one flow still has to send of a chunk.
    struct Piece {
        let chunk: Chunk
        private(set) var skipped = 0
        private var skippedBytes = 0
        private var skippedPayload = 0

        init(chunk: Chunk) { self.chunk = chunk }

        var count: Int { chunk.count - skipped }
        var length: Int { chunk.length - skippedBytes }

        /// All of it.
        private var whole: MessageCut {
            MessageCut(messages: count, bytes: length, payloadBytes: chunk.payloadBytes - skippedPayload)
        }

        private var rest: ByteBuffer { chunk.messages(from: skippedBytes) }

        /// As many messages as there is credit for, nil if there is none for the first.
        func cut(to room: Credit) -> MessageCut? {
            let whole = whole
            if UInt64(whole.messages) <= room.messages, UInt64(whole.payloadBytes) <= room.bytes { return whole }
            return first(Int(clamping: room.messages), maximumPayloadBytes: Int(clamping: room.bytes))
        }

        /// The first messages within two limits, nil if none is.
        func first(_ messages: Int, maximumPayloadBytes: Int = .max) -> MessageCut? {
            do throws(LLMgineError) {
                let cut = try MessageCut(of: rest, maximumMessages: messages, maximumPayloadBytes: maximumPayloadBytes)
                return cut.messages > 0 ? cut : nil
            } catch {
                preconditionFailure("a message that was just written cannot be read: \(error)")
            }
        }

        mutating func skip(_ cut: MessageCut) {
            skipped += cut.messages
            skippedBytes += cut.bytes
            skippedPayload += cut.payloadBytes
        }

        /// The chunk was encoded anew: what was skipped has another length.
        mutating func recount() {
            let skipped = self.skipped
            self = Piece(chunk: chunk)
            if skipped > 0, let cut = first(skipped) { skip(cut) }
        }

        /// Whether the time of the first message is over.
        func isExpired(at now: Duration) -> Bool { chunk.deadlines[skipped].map { $0 <= now } ?? false }

        /// The first messages as they go out now: those with a time to live are encoded anew, with what is left of it.
        func bytes(of cut: MessageCut, at now: Duration) -> ByteBuffer {
            let bytes = rest.getSlice(at: 0, length: cut.bytes) ?? ByteBuffer()
            guard !chunk.deadlines.isEmpty else { return bytes }
            var renewed = ByteBufferAllocator().buffer(capacity: cut.bytes)
            var position = skipped
            bytes.forEachMessage { message in
                let left = chunk.deadlines[position].map { max(.zero, $0 - now) }
                let fields = MessageFields(
                    topicRef: message.topicRef, typeRef: message.typeRef, sequenceDelta: UInt32(truncatingIfNeeded: message.sequence),
                    trace: message.trace, headers: message.headers, timeToLive: left ?? message.timeToLive, session: message.session)
                MessageWriter.write(fields, payload: message.payload, into: &renewed)
                position += 1
            }
            return renewed
        }

        /// A DATA frame of the first messages. The header goes into the chunk's own headroom if the chunk is sent whole.
        func frame(of cut: MessageCut, for flows: [UInt32], at now: Duration) -> ByteBuffer {
            let isWhole = cut.messages == chunk.count && chunk.deadlines.isEmpty
            let messages = isWhole ? ByteBuffer() : bytes(of: cut, at: now)
            var frame = ByteBufferAllocator().buffer(capacity: Chunk.headroom(flows: flows.count) + messages.readableBytes)
            DataFrame.writeHeader(
                priority: chunk.priority, flows: flows, baseSequence: chunk.baseSequence, count: UInt32(truncatingIfNeeded: cut.messages),
                messagesLength: isWhole ? cut.bytes : messages.readableBytes, into: &frame)
            if isWhole, let whole = chunk.frame(frame) { return whole }
            frame.writeImmutableBuffer(isWhole ? bytes(of: cut, at: now) : messages)
            return frame
        }
    }
}

extension ByteBuffer {
    /// Reads a run of messages that was written here; their sequences are the deltas to the base of the run.
    fileprivate func forEachMessage(_ body: (WireMessage) -> Void) {
        var reader = MessageReader(self, baseSequence: 0, highestIntern: .max, maximumPayload: .max)
        do throws(LLMgineError) {
            while let message = try reader.next() { body(message) }
        } catch {
            preconditionFailure("a message that was just written cannot be read: \(error)")
        }
    }
}
