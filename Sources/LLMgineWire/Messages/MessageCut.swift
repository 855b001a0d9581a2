package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// How much of a run of encoded messages fits a credit. Any run of whole messages is valid under the same base sequence, so a chunk is
/// sent in pieces without being encoded again.
package struct MessageCut: Sendable, Hashable {
    /// Whole messages that fit.
    package let messages: Int
    /// Bytes that they take in the run.
    package let bytes: Int
    /// Payload bytes in them: what credit counts.
    package let payloadBytes: Int

    /// A cut that was measured before.
    package init(messages: Int, bytes: Int, payloadBytes: Int) {
        self.messages = messages
        self.bytes = bytes
        self.payloadBytes = payloadBytes
    }

    /// Takes messages from the front for as long as both limits hold. One scan, and no allocation.
    /// - Throws: `malformedFrame` for bytes that no ``MessageWriter`` wrote.
    package init(of run: ByteBuffer, maximumMessages: Int, maximumPayloadBytes: Int) throws(LLMgineError) {
        var messages = 0
        var position = 0
        var payloadBytes = 0
        do throws(WireFault) {
            let bytes = run.readableBytesUInt8Span
            while messages < maximumMessages, position < bytes.count {
                let entry = try MessageIndex.Entry(scanning: bytes, at: position, rules: .formOnly)
                guard entry.payloadLength <= maximumPayloadBytes - payloadBytes else { break }
                messages += 1
                payloadBytes += entry.payloadLength
                position = Int(entry.end)
            }
        } catch {
            throw error.error(in: "a queued message", at: position)
        }
        self.messages = messages
        self.bytes = position
        self.payloadBytes = payloadBytes
    }
}
