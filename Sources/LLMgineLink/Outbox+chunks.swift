import DequeModule
import LLMgineCore
import LLMgineFlow
import LLMgineWire
import NIOCore

extension Outbox {
    /// Messages for one set of flows, encoded, as they will go out. Shared by the flows' queues; only the open one grows.
    final class Chunk {
        let priority: Priority
        let baseSequence: UInt64
        /// Room for a frame header, then the messages: so the header goes in front without moving anything.
        var buffer: ByteBuffer
        var count = 0
        var payloadBytes = 0
        var isOpen = true

        /// Room left for the header: 4 length, 2 type and flags, 1 class, 8 base, 5 count, and up to 8 flows of 5 bytes with their count.
        static let headroom = 64
        /// A frame of one chunk fills one TLS record, whose plain text is at most 16 KiB.
        static let recordBytes = 16 << 10

        init(priority: Priority, baseSequence: UInt64, expecting length: Int) {
            self.priority = priority
            self.baseSequence = baseSequence
            buffer = ByteBufferAllocator().buffer(capacity: Chunk.headroom + length)
            buffer.moveWriterIndex(to: Chunk.headroom)
            buffer.moveReaderIndex(to: Chunk.headroom)
        }

        /// Whether one more message keeps the frame within a TLS record, and its sequence within the base's reach.
        func fits(_ length: Int, sequence: UInt64) -> Bool {
            buffer.writerIndex + length <= Chunk.recordBytes && sequence >= baseSequence && sequence - baseSequence <= UInt64(UInt32.max)
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
        var length: Int { chunk.buffer.readableBytes - skippedBytes }
        var payloadBytes: Int { chunk.payloadBytes - skippedPayload }
        var rest: ByteBuffer {
            chunk.buffer.getSlice(at: chunk.buffer.readerIndex + skippedBytes, length: length) ?? ByteBuffer()
        }

        mutating func skip(messages: Int, bytes: Int, payload: Int) {
            skipped += messages
            skippedBytes += bytes
            skippedPayload += payload
        }

        mutating func skip(_ cut: MessageCut) { skip(messages: cut.messages, bytes: cut.bytes, payload: cut.payloadBytes) }

        /// A DATA frame of the first messages. The header goes into the chunk's own headroom where it fits and the chunk is sent whole.
        func frame(for flows: [UInt32], messages: Int, bytes: Int) -> ByteBuffer {
            var header = ByteBuffer()
            DataFrame.writeHeader(
                priority: chunk.priority, flows: flows, baseSequence: chunk.baseSequence, count: UInt32(truncatingIfNeeded: messages),
                messagesLength: bytes, into: &header)
            if skipped == 0, messages == chunk.count, header.readableBytes <= Chunk.headroom {
                let start = Chunk.headroom - header.readableBytes
                chunk.buffer.setBuffer(header, at: start)
                if let whole = chunk.buffer.getSlice(at: start, length: header.readableBytes + bytes) { return whole }
            }
            if let messages = rest.getSlice(at: rest.readerIndex, length: bytes) { header.writeImmutableBuffer(messages) }
            return header
        }
    }

    /// The open chunks of one set of flows, by class.
    struct Lane {
        let slots: [Int]
        var open: [Chunk?] = [nil, nil, nil, nil]
        /// What the last chunk came to: a good guess for the next.
        var lastSize = 1024
    }

    /// One subscription of the peer.
    struct Flow {
        let id: UInt32
        let whenFull: WhenFull
        var purse: CreditPurse
        var queues: [Deque<Piece>] = [[], [], [], []]
        var queuedMessages = 0
        var queuedBytes = 0
        /// Messages evicted since the last one that was sent, by class.
        var gaps = [0, 0, 0, 0]
        var isDemoted = false
        var saidBlocked = false
        var isClosed = false

        init(id: UInt32, whenFull: WhenFull, purse: CreditPurse) {
            self.id = id
            self.whenFull = whenFull
            self.purse = purse
        }

        var pieceCount: Int { queues.reduce(0) { $0 + $1.count } }

        /// Whether a payload of so many bytes has no room. An empty queue takes any one message.
        func isFull(_ limits: Limits, adding bytes: Int) -> Bool {
            queuedMessages >= limits.messages || (queuedMessages > 0 && queuedBytes + bytes > limits.bytes)
        }

        mutating func count(messages: Int, bytes: Int) {
            queuedMessages += messages
            queuedBytes += bytes
        }

        /// The first messages of a queue have been sent.
        mutating func advance(_ index: Int, messages: Int, bytes: Int, payload: Int, _ pieces: inout Int) {
            count(messages: -messages, bytes: -payload)
            guard var piece = queues[index].popFirst() else { return }
            piece.skip(messages: messages, bytes: bytes, payload: payload)
            if piece.count > 0 { queues[index].prepend(piece) } else { pieces -= 1 }
        }
    }
}
