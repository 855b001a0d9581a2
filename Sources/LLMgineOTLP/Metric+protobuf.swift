extension OTLP.Metric {
    /// Appends the fields of a `Metric`.
    package func encode(into writer: inout ProtobufWriter) {
        writer.string(1, name)
        writer.string(2, description)
        writer.string(3, unit)
        switch data {
        case .gauge(let points):
            let slot = writer.open(5)
            for point in points { point.encode(1, into: &writer) }
            writer.close(slot)
        case .sum(let points, let isMonotonic, let temporality):
            let slot = writer.open(7)
            for point in points { point.encode(1, into: &writer) }
            writer.varint(2, UInt64(temporality.rawValue))
            writer.varint(3, isMonotonic ? 1 : 0)
            writer.close(slot)
        case .histogram(let points, let temporality):
            let slot = writer.open(9)
            for point in points { point.encode(1, into: &writer) }
            writer.varint(2, UInt64(temporality.rawValue))
            writer.close(slot)
        }
    }
}

extension OTLP.NumberPoint {
    func encode(_ field: UInt32, into writer: inout ProtobufWriter) {
        let slot = writer.open(field)
        writer.fixed64(2, start)
        writer.fixed64(3, time)
        switch value {
        case .double(let number): writer.presentFixed64(4, number.bitPattern)
        case .int(let number): writer.presentFixed64(6, UInt64(bitPattern: number))
        }
        for attribute in attributes { attribute.encode(7, into: &writer) }
        writer.close(slot)
    }
}

extension OTLP.HistogramPoint {
    func encode(_ field: UInt32, into writer: inout ProtobufWriter) {
        let slot = writer.open(field)
        writer.fixed64(2, start)
        writer.fixed64(3, time)
        writer.fixed64(4, count)
        if let sum { writer.presentFixed64(5, sum.bitPattern) }
        if !bucketCounts.isEmpty {
            writer.header(6, length: bucketCounts.count * 8)
            for bucket in bucketCounts { writer.packed(bucket) }
        }
        if !bounds.isEmpty {
            writer.header(7, length: bounds.count * 8)
            for bound in bounds { writer.packed(bound.bitPattern) }
        }
        for attribute in attributes { attribute.encode(9, into: &writer) }
        writer.close(slot)
    }
}

extension OTLP.LogRecord {
    /// Appends the fields of a `LogRecord`.
    package func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, time)
        writer.varint(2, UInt64(severity.rawValue))
        writer.string(3, severityText)
        writer.header(5, length: body.encodedSize)
        body.encode(into: &writer)
        for attribute in attributes { attribute.encode(6, into: &writer) }
        writer.fixed32(8, flags)
        if traceHigh | traceLow != 0 { writer.id(9, traceHigh, traceLow) }
        writer.id(10, span)
        writer.fixed64(11, observed)
        writer.string(12, eventName)
    }
}
