import protocol LLMgineCore.Event
import struct NIOCore.ByteBuffer

/// The event of the local figures: sixteen words, 128 bytes.
struct Tick: Event {
    /// 1 for the first.
    var sequence: UInt64 = 0
    /// When it was due to be published, on the monotonic clock in nanoseconds.
    var due: UInt64 = 0
    var w02: UInt64 = 2, w03: UInt64 = 3, w04: UInt64 = 4, w05: UInt64 = 5, w06: UInt64 = 6, w07: UInt64 = 7, w08: UInt64 = 8
    var w09: UInt64 = 9, w10: UInt64 = 10, w11: UInt64 = 11, w12: UInt64 = 12, w13: UInt64 = 13, w14: UInt64 = 14, w15: UInt64 = 15

    static let words = 16
    static let bytes = words * 8

    init(sequence: UInt64, due: UInt64 = 0) {
        self.sequence = sequence
        self.due = due
    }

    func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(sequence, due, w02, w03, w04, w05, w06, w07, w08, w09, w10, w11, w12, w13, w14)
        buffer.writeInteger(w15)
    }

    init(decoding buffer: ByteBuffer) throws {
        var buffer = buffer
        guard buffer.readableBytes == Tick.bytes, let sequence = buffer.readInteger(as: UInt64.self),
            let due = buffer.readInteger(as: UInt64.self)
        else { throw BenchError("a tick has \(Tick.bytes) bytes, not \(buffer.readableBytes)") }
        self.init(sequence: sequence, due: due)
    }
}

/// The handler's side of every local figure: counts, and checks that the order held.
struct Tally: Sendable {
    private(set) var received = 0
    private(set) var disordered = 0
    private var previous: UInt64 = 0

    /// Takes the number of an event.
    mutating func record(_ sequence: UInt64) {
        received += 1
        if sequence <= previous { disordered += 1 }
        previous = sequence
    }
}
