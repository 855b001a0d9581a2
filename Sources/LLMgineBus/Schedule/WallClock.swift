import LLMgineCore

import struct FoundationEssentials.Date

/// Moments that people name, and when they come on the clock that timers run on.
enum WallClock {
    static var now: Date { Date(timeIntervalSince1970: SystemClock.sinceEpoch() / .seconds(1)) }

    /// The farthest that anything may be planned ahead: a hundred years, which every clock involved can count.
    private static let horizon = 100 * 366 * 86_400.0

    /// The moment on the timers' clock, as both clocks stand now.
    static func instant(of date: Date) -> ContinuousClock.Instant {
        let ahead = date.timeIntervalSince1970 - now.timeIntervalSince1970
        return .now + .seconds(min(max(ahead, 0), horizon))
    }

    /// - Throws: `invalidArgument` for a moment that is none, or too far ahead.
    static func check(_ date: Date) throws(LLMgineError) {
        guard date.timeIntervalSince1970.isFinite, date.timeIntervalSince1970 - now.timeIntervalSince1970 <= horizon else {
            throw LLMgineError(.invalidArgument, "a moment must be a number and less than a hundred years ahead")
        }
    }

    /// The moment so long from now. - Throws: `invalidArgument` for more than a hundred years.
    static func after(_ delay: Duration) throws(LLMgineError) -> Date {
        let date = Date(timeIntervalSince1970: now.timeIntervalSince1970 + delay / .seconds(1))
        try check(date)
        return date
    }
}
