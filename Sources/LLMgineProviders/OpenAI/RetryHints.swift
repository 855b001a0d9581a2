/// What the headers of an answer say about trying again.
package struct RetryHints: Hashable {
    /// How long to wait.
    package var retryAfter: Duration?
    /// Whether to, when the server knows better than the status.
    package var shouldRetry: Bool?

    package init(retryAfter: Duration? = nil, shouldRetry: Bool? = nil) {
        self.retryAfter = retryAfter
        self.shouldRetry = shouldRetry
    }

    /// Reads `retry-after-ms`, `x-ms-retry-after-ms`, `retry-after` (seconds with or without fraction, or an HTTP date), LiteLLM's `llm_provider-retry-after`,
    /// and `x-should-retry`. What makes no sense is ignored.
    /// - Parameters:
    ///   - now: seconds since 1970, for dates.
    ///   - header: the first value of a header, whatever the case of its name.
    package init(now: Double, header: (String) -> String?) {
        let milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"].lazy.compactMap(header).compactMap { Self.duration($0, unit: 0.001) }
        let seconds = ["retry-after", "llm_provider-retry-after"].lazy.compactMap(header).compactMap {
            Self.duration($0, unit: 1) ?? HTTPDate.seconds($0).flatMap { Self.duration(max(0, $0 - now)) }
        }
        retryAfter = milliseconds.first ?? seconds.first
        switch header("x-should-retry")?.lowercased() {
        case "true": shouldRetry = true
        case "false": shouldRetry = false
        case _: shouldRetry = nil
        }
    }

    private static func duration(_ text: String, unit: Double) -> Duration? {
        Double(text.filter { !$0.isWhitespace }).flatMap { duration($0 * unit) }
    }

    /// Nil for what is not a wait; a wait beyond a year is cut to a year.
    private static func duration(_ seconds: Double) -> Duration? {
        seconds.isFinite && seconds >= 0 ? .seconds(min(seconds, 31_536_000)) : nil
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`: the one form of dates that servers may send (RFC 9110, 5.6.7).
package enum HTTPDate {
    /// Seconds since 1970, nil for any other text.
    package static func seconds(_ text: String) -> Double? {
        let fields = text.split(separator: " ")
        guard fields.count == 6, fields[5] == "GMT", let day = Int(fields[1]), let month = months.firstIndex(of: String(fields[2])),
            let year = Int(fields[3]), (1...31).contains(day), (1970...9999).contains(year)
        else { return nil }
        let time = fields[4].split(separator: ":").compactMap { Int($0) }
        guard time.count == 3, (0...23).contains(time[0]), (0...59).contains(time[1]), (0...60).contains(time[2]) else { return nil }
        return Double(days(year: year, month: month + 1, day: day) * 86_400 + time[0] * 3600 + time[1] * 60 + time[2])
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Days from 1970 to a date of the Gregorian calendar, counted in years that begin in March so that the leap day comes last.
    private static func days(year: Int, month: Int, day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return year * 365 + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
    }
}
