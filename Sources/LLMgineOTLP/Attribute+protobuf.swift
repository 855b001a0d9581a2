extension OTLP.Value {
    /// Bytes of the encoded `AnyValue`. One member is always written, so that an empty string is a string.
    var encodedSize: Int {
        switch self {
        case .string(let text): Self.delimited(text.utf8.count)
        case .bool: 2
        case .int(let number): 1 + ProtobufWriter.size(UInt64(bitPattern: number))
        case .double: 9
        case .array(let values): Self.delimited(values.reduce(0) { $0 + Self.delimited($1.encodedSize) })
        case .map(let attributes): Self.delimited(attributes.reduce(0) { $0 + Self.delimited($1.encodedSize) })
        case .bytes(let bytes): Self.delimited(bytes.count)
        }
    }

    /// Bytes of a length-delimited field with a one-byte tag.
    static func delimited(_ content: Int) -> Int { 1 + ProtobufWriter.size(UInt64(content)) + content }

    /// Appends the fields of an `AnyValue`.
    package func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .string(let text): writer.presentString(1, text)
        case .bool(let flag): writer.presentVarint(2, flag ? 1 : 0)
        case .int(let number): writer.presentVarint(3, UInt64(bitPattern: number))
        case .double(let number): writer.presentFixed64(4, number.bitPattern)
        case .array(let values):
            writer.header(5, length: values.reduce(0) { $0 + Self.delimited($1.encodedSize) })
            for value in values {
                writer.header(1, length: value.encodedSize)
                value.encode(into: &writer)
            }
        case .map(let attributes):
            writer.header(6, length: attributes.reduce(0) { $0 + Self.delimited($1.encodedSize) })
            for attribute in attributes { attribute.encode(1, into: &writer) }
        case .bytes(let bytes): writer.presentBytes(7, bytes)
        }
    }

    /// How deep values may be nested in what we read.
    private static let maximumDepth = 16

    init(_ reader: ProtobufReader, depth: Int = 0) throws(OTLP.Malformed) {
        guard depth < Self.maximumDepth else { throw OTLP.Malformed("values nested deeper than \(Self.maximumDepth)") }
        var reader = reader
        var value = OTLP.Value.string("")
        while let field = try reader.next() {
            switch (field.number, field.content) {
            case (1, .bytes(let text)): value = .string(try text.text())
            case (2, .varint(let flag)): value = .bool(flag != 0)
            case (3, .varint(let number)): value = .int(Int64(bitPattern: number))
            case (4, .fixed64(let bits)): value = .double(Double(bitPattern: bits))
            case (5, .bytes(var list)):
                var values: [OTLP.Value] = []
                while let element = try list.next() {
                    guard case (1, .bytes(let content)) = (element.number, element.content) else { continue }
                    values.append(try OTLP.Value(content, depth: depth + 1))
                }
                value = .array(values)
            case (6, .bytes(var list)):
                var attributes: [OTLP.Attribute] = []
                while let element = try list.next() {
                    guard case (1, .bytes(let content)) = (element.number, element.content) else { continue }
                    attributes.append(try OTLP.Attribute(content, depth: depth + 1))
                }
                value = .map(attributes)
            case (7, .bytes(let bytes)): value = .bytes(bytes.remaining())
            default: continue
            }
        }
        self = value
    }
}

extension OTLP.Attribute {
    var encodedSize: Int { OTLP.Value.delimited(key.utf8.count) + OTLP.Value.delimited(value.encodedSize) }

    /// Appends the attribute as a field of the message that is open.
    package func encode(_ field: UInt32, into writer: inout ProtobufWriter) {
        let inner = value.encodedSize
        writer.header(field, length: OTLP.Value.delimited(key.utf8.count) + OTLP.Value.delimited(inner))
        writer.presentString(1, key)
        writer.header(2, length: inner)
        value.encode(into: &writer)
    }

    package init(_ reader: ProtobufReader, depth: Int = 0) throws(OTLP.Malformed) {
        var reader = reader
        self.init("", .string(""))
        while let field = try reader.next() {
            switch (field.number, field.content) {
            case (1, .bytes(let text)): key = try text.text()
            case (2, .bytes(let content)): value = try OTLP.Value(content, depth: depth)
            default: continue
            }
        }
    }
}

extension OTLP {
    /// The name of an attribute that is known beforehand, encoded once as the first field of its `KeyValue`.
    package struct Key: Sendable {
        package let name: String
        private let encoded: [UInt8]

        package init(_ name: String) {
            self.name = name
            var writer = ProtobufWriter(capacity: 64)
            writer.presentString(1, name)
            self.encoded = writer.bytes()
        }

        /// Appends an attribute of that name with a text.
        package func encode(_ field: UInt32, _ text: String, into writer: inout ProtobufWriter) {
            let length = text.utf8.count
            let inner = Value.delimited(length)
            writer.header(field, length: encoded.count + Value.delimited(inner))
            writer.raw(encoded)
            writer.header(2, length: inner)
            writer.presentString(1, text)
        }

        /// Appends an attribute of that name with any value.
        package func encode(_ field: UInt32, _ value: Value, into writer: inout ProtobufWriter) {
            let inner = value.encodedSize
            writer.header(field, length: encoded.count + Value.delimited(inner))
            writer.raw(encoded)
            writer.header(2, length: inner)
            value.encode(into: &writer)
        }
    }

    /// An attribute of which name and value are known beforehand, encoded once.
    package struct Constant: Sendable {
        private let encoded: [UInt8]

        package init(_ field: UInt32, _ key: String, _ value: String) {
            var writer = ProtobufWriter(capacity: 128)
            Attribute(key, value).encode(field, into: &writer)
            self.encoded = writer.bytes()
        }

        package func encode(into writer: inout ProtobufWriter) { writer.raw(encoded) }
    }
}
