import struct FoundationEssentials.Data
import class FoundationEssentials.JSONDecoder
import class FoundationEssentials.JSONEncoder
public import struct NIOCore.ByteBuffer

/// A value that can leave the process.
///
/// `Codable` types get JSON for nothing. A type on a hot path writes its own two functions: the JSON coder costs several microseconds a value.
public protocol Payload: Sendable {
    /// Appends the encoded value.
    /// - Throws: anything; the publisher sees it as `badPayload`.
    func encode(into buffer: inout ByteBuffer) throws
    /// Reads the value from the whole of the buffer, which may come from another process and hold anything.
    /// - Throws: anything; the event goes to the dead letters as `badPayload`.
    init(decoding buffer: ByteBuffer) throws
}

extension Payload where Self: Encodable {
    /// Appends the value as JSON.
    public func encode(into buffer: inout ByteBuffer) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        buffer.writeBytes(try encoder.encode(self))
    }
}

extension Payload where Self: Decodable {
    /// Reads the value from JSON.
    public init(decoding buffer: ByteBuffer) throws {
        self = try JSONDecoder().decode(Self.self, from: Data(buffer.readableBytesView))
    }
}
