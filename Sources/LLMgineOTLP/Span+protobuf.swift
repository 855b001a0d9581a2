extension OTLP.Span {
    /// Appends the fields of a `Span`.
    package func encode(into writer: inout ProtobufWriter) {
        writer.id(1, traceHigh, traceLow)
        writer.id(2, span)
        writer.string(3, traceState)
        writer.id(4, parent)
        writer.string(5, name)
        writer.varint(6, UInt64(kind.rawValue))
        writer.fixed64(7, start)
        writer.fixed64(8, end)
        for attribute in attributes { attribute.encode(9, into: &writer) }
        writer.varint(10, UInt64(droppedAttributes))
        for event in events { event.encode(11, into: &writer) }
        writer.varint(12, UInt64(droppedEvents))
        for link in links { link.encode(13, into: &writer) }
        writer.varint(14, UInt64(droppedLinks))
        status.encode(15, into: &writer)
        writer.fixed32(16, flags)
    }

    package init(_ reader: ProtobufReader) throws(OTLP.Malformed) {
        self.init(traceHigh: 0, traceLow: 0, span: 0, name: "", start: 0, end: 0)
        var reader = reader
        while let field = try reader.next() {
            switch (field.number, field.content) {
            case (1, .bytes(let id)): (traceHigh, traceLow) = try id.id(bytes: 16)
            case (2, .bytes(let id)): span = try id.id(bytes: 8).low
            case (3, .bytes(let text)): traceState = try text.text()
            case (4, .bytes(let id)): parent = try id.id(bytes: 8).low
            case (5, .bytes(let text)): name = try text.text()
            case (6, .varint(let number)): kind = Kind(rawValue: UInt8(clamping: number)) ?? .internal
            case (7, .fixed64(let time)): start = time
            case (8, .fixed64(let time)): end = time
            case (9, .bytes(let content)): attributes.append(try OTLP.Attribute(content))
            case (10, .varint(let number)): droppedAttributes = UInt32(clamping: number)
            case (11, .bytes(let content)): events.append(try OTLP.Event(content))
            case (12, .varint(let number)): droppedEvents = UInt32(clamping: number)
            case (13, .bytes(let content)): links.append(try OTLP.Link(content))
            case (14, .varint(let number)): droppedLinks = UInt32(clamping: number)
            case (15, .bytes(let content)): status = try OTLP.Status(content)
            case (16, .fixed32(let bits)): flags = bits
            default: continue
            }
        }
        guard traceHigh | traceLow != 0, span != 0 else { throw OTLP.Malformed("a span without an id") }
    }
}

extension OTLP.Status {
    /// Appends the status as a field, unless it is unset.
    package func encode(_ field: UInt32, into writer: inout ProtobufWriter) {
        switch self {
        case .unset: return
        case .ok:
            writer.header(field, length: 2)
            writer.presentVarint(3, 1)
        case .error(let message):
            writer.header(field, length: 2 + (message.isEmpty ? 0 : OTLP.Value.delimited(message.utf8.count)))
            writer.string(2, message)
            writer.presentVarint(3, 2)
        }
    }

    init(_ reader: ProtobufReader) throws(OTLP.Malformed) {
        var reader = reader
        var code: UInt64 = 0
        var message = ""
        while let field = try reader.next() {
            switch (field.number, field.content) {
            case (2, .bytes(let text)): message = try text.text()
            case (3, .varint(let number)): code = number
            default: continue
            }
        }
        self = code == 2 ? .error(message) : code == 1 ? .ok : .unset
    }
}

extension OTLP.Event {
    package func encode(_ field: UInt32, into writer: inout ProtobufWriter) {
        let slot = writer.open(field)
        writer.fixed64(1, time)
        writer.string(2, name)
        for attribute in attributes { attribute.encode(3, into: &writer) }
        writer.close(slot)
    }

    init(_ reader: ProtobufReader) throws(OTLP.Malformed) {
        self.init(time: 0, name: "")
        var reader = reader
        while let field = try reader.next() {
            switch (field.number, field.content) {
            case (1, .fixed64(let nanoseconds)): time = nanoseconds
            case (2, .bytes(let text)): name = try text.text()
            case (3, .bytes(let content)): attributes.append(try OTLP.Attribute(content))
            default: continue
            }
        }
    }
}

extension OTLP.Link {
    package func encode(_ field: UInt32, into writer: inout ProtobufWriter) {
        let slot = writer.open(field)
        writer.id(1, traceHigh, traceLow)
        writer.id(2, span)
        writer.string(3, traceState)
        for attribute in attributes { attribute.encode(4, into: &writer) }
        writer.fixed32(6, flags)
        writer.close(slot)
    }

    init(_ reader: ProtobufReader) throws(OTLP.Malformed) {
        self.init(traceHigh: 0, traceLow: 0, span: 0)
        var reader = reader
        while let field = try reader.next() {
            switch (field.number, field.content) {
            case (1, .bytes(let id)): (traceHigh, traceLow) = try id.id(bytes: 16)
            case (2, .bytes(let id)): span = try id.id(bytes: 8).low
            case (3, .bytes(let text)): traceState = try text.text()
            case (4, .bytes(let content)): attributes.append(try OTLP.Attribute(content))
            case (6, .fixed32(let bits)): flags = bits
            default: continue
            }
        }
    }
}
