import LLMgine
import NIOCore

/// What a message of the chaos says.
struct ChaosEvent {
    let publisher: Int
    let number: Int
    let topic: Int

    init(publisher: Int, number: Int, topic: Int) {
        self.publisher = publisher
        self.number = number
        self.topic = topic
    }

    init?(_ message: Message) {
        var bytes = message.payload
        guard let (publisher, number, topic) = bytes.readMultipleIntegers(as: (UInt32, UInt64, UInt32).self) else { return nil }
        self.init(publisher: Int(publisher), number: Int(truncatingIfNeeded: number), topic: Int(topic))
    }

    /// Of 16 to 215 bytes, so that chunks and windows are cut in many ways.
    var payload: ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(UInt32(publisher), UInt64(number), UInt32(topic))
        bytes.writeRepeatingByte(0x2A, count: number % 200)
        return bytes
    }
}
