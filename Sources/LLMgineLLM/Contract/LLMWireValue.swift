public import LLMgineCore

public import struct NIOCore.ByteBuffer

/// A value of the LLM contract: it travels as the payload of a bus message, as JSON. Its `Codable` conformance gives the same JSON.
public protocol LLMWireValue: Payload, Codable, Hashable {
    /// Reads the value. Unknown members are ignored, so that an older node understands a newer one.
    /// - Throws: `badPayload`, naming the member that is missing or has the wrong type.
    init(json: JSONValue) throws(LLMgineError)
    /// The JSON form. Absent optional values have no member.
    var json: JSONValue { get }
}

extension LLMWireValue {
    /// Reads the JSON form from any decoder.
    public init(from decoder: any Decoder) throws { try self.init(json: try JSONValue(from: decoder)) }
    /// Writes the JSON form to any encoder.
    public func encode(to encoder: any Encoder) throws { try json.encode(to: encoder) }

    /// Appends the value as JSON.
    public func encode(into buffer: inout ByteBuffer) throws { json.write(into: &buffer) }
    /// Reads the value from JSON. - Throws: `badPayload`.
    public init(decoding buffer: ByteBuffer) throws { try self.init(json: try JSONValue(parsing: buffer)) }
}
