/// Prints one line per event on standard error, whatever the log level is.
public final class ConsoleHandler: ObservabilityHandler {
    private let write: @Sendable (String) -> Void

    /// Prints on standard error.
    public convenience init() {
        self.init { line in
            // A line that standard error does not take is nobody's loss.
            _ = Descriptor.write([UInt8]((line + "\n").utf8), to: 2)
        }
    }

    /// Hands each line, without a line break, to `write`.
    public init(write: @escaping @Sendable (String) -> Void) { self.write = write }

    /// Prints the event: time, type, topic, session, id and metadata.
    public func handle(_ event: ObservedEvent) {
        var line = "\(CalendarTime(event.timestamp).iso8601) \(event.eventType)"
        if let topic = event.topic { line += " \(topic)" }
        line += " id=\(event.eventID) session=\(event.session)"
        for entry in event.metadata { line += " \(entry.key)=\(entry.value)" }
        write(line)
    }
}
