import LLMgineObservability
public import Logging
import Synchronization

/// Writes log lines as a node's settings ask for them: one line for people, or one JSON object.
///
/// A logger is made with it where it is needed; nothing here is global, so an application keeps the handler that it has installed for itself.
public struct NodeLogHandler: LogHandler {
    /// The least level that is written.
    public var logLevel: Logger.Level
    /// What every line carries.
    public var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: LogFormat
    private let clock: @Sendable () -> UInt64
    private let write: @Sendable (String) -> Void

    /// Writes on standard error.
    public init(label: String, settings: NodeSettings.Log) {
        let clock = UnixClock()
        self.init(label: label, settings: settings, clock: { clock.now() }, write: StandardError.write)
    }

    package init(
        label: String, settings: NodeSettings.Log, clock: @escaping @Sendable () -> UInt64, write: @escaping @Sendable (String) -> Void
    ) {
        self.label = label
        self.logLevel = Logger.Level(rawValue: settings.level.rawValue) ?? .info
        self.format = settings.format
        self.clock = clock
        self.write = write
    }

    /// One entry of what every line carries.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line.
    public func log(event: LogEvent) {
        var entries: [(key: String, value: String)] = metadata.merging(event.metadata ?? [:]) { _, own in own }
            .map { ($0.key, "\($0.value)") }.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
        if let error = event.error { entries.append(("error", "\(error)")) }
        let time = CalendarTime(clock()).iso8601
        switch format {
        case .text:
            let rest = entries.map { " \($0.key)=\(NodeLogHandler.quoted($0.value))" }.joined()
            write("\(time) \(event.level.rawValue) \(label): \(NodeLogHandler.oneLine("\(event.message)"))\(rest)\n")
        case .json:
            let fixed = [("time", time), ("level", event.level.rawValue), ("logger", label), ("message", "\(event.message)")]
            let own = entries.filter { entry in !fixed.contains { $0.0 == entry.key } }.map { ($0.key, $0.value) }
            let members = (fixed + own).map { "\(NodeLogHandler.json($0.0)):\(NodeLogHandler.json($0.1))" }
            write("{\(members.joined(separator: ","))}\n")
        }
    }

    /// A value as it is, or in quotation marks where it would read as more than one.
    private static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") && $0 != 0x7F }
        return isPlain ? text : json(text)
    }

    /// A log line stays one line, whatever a peer put into a text.
    private static func oneLine(_ text: String) -> String { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } ? text : json(text) }

    private static func json(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.properties.generalCategory == .control:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Lines of several loggers do not mix: each is one write.
enum StandardError {
    private static let lock = Mutex(())

    @Sendable static func write(_ line: String) {
        // A line that standard error does not take is nobody's loss.
        lock.withLock { _ in _ = Descriptor.write([UInt8](line.utf8), to: 2) }
    }
}
