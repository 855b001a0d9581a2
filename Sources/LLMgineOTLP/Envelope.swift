extension OTLP {
    /// What surrounds the records of every request: the resource and the scope, encoded once per node.
    ///
    /// The three signals share the shape `request.1 = {1 resource, 2 = {1 scope, 2 record, 2 record, ...}}`.
    package struct Envelope: Sendable {
        private let resource: [UInt8]
        private let scope: [UInt8]

        package init(resource: Resource, scope: Scope) {
            var writer = ProtobufWriter()
            let outer = writer.open(1)
            for attribute in resource.attributes { attribute.encode(1, into: &writer) }
            writer.close(outer)
            self.resource = writer.bytes()
            writer.removeAll()
            let inner = writer.open(1)
            writer.string(1, scope.name)
            writer.string(2, scope.version)
            writer.close(inner)
            self.scope = writer.bytes()
        }

        /// Writes one request; `records` appends each record as field 2. An empty request must not be sent, so there is at least one record.
        package func encode(into writer: inout ProtobufWriter, records: (inout ProtobufWriter) -> Void) {
            let outer = writer.open(1)
            writer.raw(resource)
            let inner = writer.open(2)
            writer.raw(scope)
            records(&writer)
            writer.close(inner)
            writer.close(outer)
        }

        /// Writes a request with these spans.
        package func encode(_ spans: [Span], into writer: inout ProtobufWriter) {
            encode(into: &writer) { writer in
                for span in spans {
                    let slot = writer.open(2)
                    span.encode(into: &writer)
                    writer.close(slot)
                }
            }
        }

        /// Writes a request with these metrics.
        package func encode(_ metrics: [Metric], into writer: inout ProtobufWriter) {
            encode(into: &writer) { writer in
                for metric in metrics {
                    let slot = writer.open(2)
                    metric.encode(into: &writer)
                    writer.close(slot)
                }
            }
        }

        /// Writes a request with these log records.
        package func encode(_ records: [LogRecord], into writer: inout ProtobufWriter) {
            encode(into: &writer) { writer in
                for record in records {
                    let slot = writer.open(2)
                    record.encode(into: &writer)
                    writer.close(slot)
                }
            }
        }
    }
}
