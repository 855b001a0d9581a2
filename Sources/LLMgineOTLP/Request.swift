extension OTLP {
    /// What a receiver reads from an export request.
    package struct Request<Record: Sendable>: Sendable {
        /// The records of one resource, whatever scope they came in.
        package struct Group: Sendable {
            package var resource = Resource()
            package var records: [Record] = []
        }

        package var groups: [Group] = []

        /// How many records there are in all.
        package var count: Int { groups.reduce(0) { $0 + $1.records.count } }

        init(_ bytes: [UInt8], record: (ProtobufReader) throws(Malformed) -> Record) throws(Malformed) {
            var reader = ProtobufReader(bytes)
            while let field = try reader.next() {
                guard case (1, .bytes(let content)) = (field.number, field.content) else { continue }
                groups.append(try Self.group(content, record))
            }
        }

        private static func group(
            _ reader: ProtobufReader, _ record: (ProtobufReader) throws(Malformed) -> Record
        ) throws(Malformed) -> Group {
            var group = Group()
            var reader = reader
            while let field = try reader.next() {
                switch (field.number, field.content) {
                case (1, .bytes(var resource)):
                    while let entry = try resource.next() {
                        guard case (1, .bytes(let content)) = (entry.number, entry.content) else { continue }
                        group.resource.attributes.append(try Attribute(content))
                    }
                case (2, .bytes(var scope)):
                    while let entry = try scope.next() {
                        guard case (2, .bytes(let content)) = (entry.number, entry.content) else { continue }
                        group.records.append(try record(content))
                    }
                default: continue
                }
            }
            return group
        }
    }

    /// What a receiver wants to know of a metric or a log record: its name and how many points it has.
    package struct Outline: Sendable, Hashable {
        /// The metric's name; the event name of a log record.
        package var name = ""
        /// Data points of the metric; 1 for a log record.
        package var points = 0

        package init(_ name: String = "", points: Int = 0) {
            self.name = name
            self.points = points
        }
    }
}

extension OTLP.Request where Record == OTLP.Span {
    /// Reads an `ExportTraceServiceRequest`.
    package init(traces bytes: [UInt8]) throws(OTLP.Malformed) {
        try self.init(bytes) { (reader: ProtobufReader) throws(OTLP.Malformed) in try OTLP.Span(reader) }
    }
}

extension OTLP.Request where Record == OTLP.Outline {
    /// Reads an `ExportMetricsServiceRequest`.
    package init(metrics bytes: [UInt8]) throws(OTLP.Malformed) {
        try self.init(bytes) { (reader: ProtobufReader) throws(OTLP.Malformed) in
            var reader = reader
            var outline = OTLP.Outline()
            while let field = try reader.next() {
                switch (field.number, field.content) {
                case (1, .bytes(let text)): outline.name = try text.text()
                case (5, .bytes(var data)), (7, .bytes(var data)), (9, .bytes(var data)), (10, .bytes(var data)), (11, .bytes(var data)):
                    while let point = try data.next() { outline.points += point.number == 1 ? 1 : 0 }
                default: continue
                }
            }
            return outline
        }
    }

    /// Reads an `ExportLogsServiceRequest`.
    package init(logs bytes: [UInt8]) throws(OTLP.Malformed) {
        try self.init(bytes) { (reader: ProtobufReader) throws(OTLP.Malformed) in
            var reader = reader
            var outline = OTLP.Outline(points: 1)
            while let field = try reader.next() {
                if case (12, .bytes(let text)) = (field.number, field.content) { outline.name = try text.text() }
            }
            return outline
        }
    }
}
