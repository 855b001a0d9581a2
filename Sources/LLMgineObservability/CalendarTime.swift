/// Nanoseconds since 1970 as a date and time of day in UTC.
package struct CalendarTime: Sendable, Hashable {
    package let year: Int
    package let month: Int
    package let day: Int
    package let hour: Int
    package let minute: Int
    package let second: Int
    package let nanosecond: Int

    package init(_ unixNanoseconds: UInt64) {
        let seconds = Int(unixNanoseconds / 1_000_000_000)
        nanosecond = Int(unixNanoseconds % 1_000_000_000)
        let ofDay = seconds % 86_400
        hour = ofDay / 3_600
        minute = ofDay / 60 % 60
        second = ofDay % 60
        // Days since 1 March of year 0, counted in eras of 400 years, so that the leap day ends a year.
        let days = seconds / 86_400 + 719_468
        let ofEra = days % 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * ofYear + 2) / 153
        day = ofYear - (153 * shifted + 2) / 5 + 1
        month = shifted < 10 ? shifted + 3 : shifted - 9
        year = yearOfEra + days / 146_097 * 400 + (month <= 2 ? 1 : 0)
    }

    /// `2026-11-22T16:05:09.000123Z`.
    package var iso8601: String {
        "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2)).\(padded(nanosecond / 1_000, 6))Z"
    }

    /// `20261122_160509`, fit for a file name.
    package var fileStamp: String {
        "\(padded(year, 4))\(padded(month, 2))\(padded(day, 2))_\(padded(hour, 2))\(padded(minute, 2))\(padded(second, 2))"
    }

    private func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
