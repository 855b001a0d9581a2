/// The OpenTelemetry protocol: what its records hold and how they look in protobuf.
///
/// Field numbers are those of opentelemetry-proto 1.11; times are nanoseconds since 1970; ids are kept as integers and travel big-endian.
package enum OTLP {
    /// The value of an attribute or the body of a log record (`AnyValue`).
    package indirect enum Value: Sendable, Hashable {
        case string(String)
        case bool(Bool)
        case int(Int64)
        case double(Double)
        case array([Value])
        case map([Attribute])
        case bytes([UInt8])
    }

    /// A name with a value (`KeyValue`). Names in one list are unique; whoever builds the list sees to it.
    package struct Attribute: Sendable, Hashable {
        package var key: String
        package var value: Value

        package init(_ key: String, _ value: Value) {
            self.key = key
            self.value = value
        }

        package init(_ key: String, _ value: String) { self.init(key, .string(value)) }
    }

    /// Who produced the telemetry (`Resource`): one per node.
    package struct Resource: Sendable, Hashable {
        package var attributes: [Attribute]
        package init(attributes: [Attribute] = []) { self.attributes = attributes }

        /// The text of the first attribute of that name.
        package subscript(key: String) -> String? {
            for attribute in attributes where attribute.key == key {
                if case .string(let text) = attribute.value { return text }
            }
            return nil
        }
    }

    /// Which library recorded it (`InstrumentationScope`).
    package struct Scope: Sendable, Hashable {
        package var name: String
        package var version: String

        package init(name: String, version: String = "") {
            self.name = name
            self.version = version
        }
    }

    /// Bytes that are not the protobuf message that they were taken for.
    package struct Malformed: Error, Hashable, CustomStringConvertible {
        package let detail: String
        package init(_ detail: String) { self.detail = detail }
        package var description: String { "malformed protobuf: \(detail)" }
    }
}
