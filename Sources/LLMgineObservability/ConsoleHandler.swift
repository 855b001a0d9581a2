#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Prints one line per event on standard error, whatever the log level is.
public final class ConsoleHandler: ObservabilityHandler {
    private let write: @Sendable (String) -> Void

    /// Prints on standard error.
    public convenience init() {
        self.init { line in
            let bytes = [UInt8]((line + "\n").utf8)
            unsafe bytes.withUnsafeBytes { buffer in
                // The buffer lives for the call, which keeps no pointer; a line that standard error does not take is nobody's loss.
                _ = unsafe Platform.write(2, buffer.baseAddress, buffer.count)
            }
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

/// The system calls that have the names of methods.
enum Platform {
    static func write(_ file: Int32, _ start: UnsafeRawPointer?, _ count: Int) -> Int {
        #if canImport(Glibc)
            unsafe Glibc.write(file, start, count)
        #elseif canImport(Musl)
            unsafe Musl.write(file, start, count)
        #else
            unsafe Darwin.write(file, start, count)
        #endif
    }
}
