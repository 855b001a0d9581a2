import Foundation

/// What this process has taken of the machine.
enum Resources {
    /// Resident memory: the second number of `/proc/self/statm`, in pages of 4 KiB.
    static func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        let numbers = text.split(separator: " ")
        guard numbers.count > 1, let pages = Int(numbers[1]) else { throw BenchError("/proc/self/statm is not readable") }
        return pages * 4096
    }

    /// Seconds of all threads on the processors since the process began.
    static func processorSeconds() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }
}

/// Resident memory over a run: what it was once everything was warm, and the most it came to.
///
/// A run that is observed for ten minutes keeps three numbers.
struct MemoryWatch: Sendable {
    private(set) var warm = 0
    private(set) var highest = 0
    private(set) var last = 0

    /// Looks once more. - Parameter isWarm: false while the figure is still warming up.
    mutating func look(isWarm: Bool) throws {
        last = try Resources.residentBytes()
        if !isWarm || warm == 0 { warm = last }
        highest = max(highest, last)
    }

    /// Megabytes: what it grew by after the warm-up, at most and at the end.
    var fields: [String: String] {
        [
            "rss": "\(Double(highest) / 1e6)", "rss_warm": "\(Double(warm) / 1e6)", "rss_end": "\(Double(last) / 1e6)",
            "grown": "\(Double(max(0, last - warm)) / 1e6)",
        ]
    }
}
