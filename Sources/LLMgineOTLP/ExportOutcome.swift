extension OTLP {
    /// What became of one export request, by the table of the protocol.
    package enum Outcome: Sendable, Hashable {
        /// The receiver has it, except for the records that it rejected; those must not be sent again.
        case delivered(rejected: Int, message: String)
        /// It will never be taken: wrong address, bad request, no permission. 500 is one of these too.
        case refused(status: Int, message: String)
        /// It may be taken later: 429, 502, 503, 504, or no answer at all. `retryAfter` is what the receiver asked for.
        case unavailable(reason: Unavailable, retryAfter: Duration?)

        /// Why it was not taken.
        package enum Unavailable: Sendable, Hashable {
            case status(Int)
            case timeout
            case connection
        }

        /// Reads an answer. A body that cannot be read does not undo a 2xx: the receiver said that it has the records.
        package init(status: Int, body: [UInt8], retryAfter: String?, unixSeconds: Int64) {
            switch status {
            case 200..<300:
                let partial = (try? PartialSuccess(body)) ?? PartialSuccess()
                self = .delivered(rejected: Int(max(0, partial.rejected)), message: partial.message)
            case 429, 502, 503, 504:
                self = .unavailable(
                    reason: .status(status), retryAfter: retryAfter.flatMap { RetryAfter.duration($0, unixSeconds: unixSeconds) })
            default:
                self = .refused(status: status, message: (try? RPCStatus(body))?.message ?? "")
            }
        }

        /// The value of `error.type` for the records that were lost; nil if none were.
        package var errorType: String? {
            switch self {
            case .delivered(let rejected, _): rejected > 0 ? "rejected" : nil
            case .refused(let status, _), .unavailable(.status(let status), _): String(status)
            case .unavailable(.timeout, _): "timeout"
            case .unavailable(.connection, _): "connection"
            }
        }
    }
}

/// Reads the two forms of `Retry-After`.
package enum RetryAfter {
    /// How long to wait: from seconds, or from an HTTP date (`Sun, 06 Nov 1994 08:49:37 GMT`). What is past is 0; what is neither is nil.
    package static func duration(_ text: String, unixSeconds: Int64) -> Duration? {
        if let seconds = Int64(text) { return .seconds(min(max(0, seconds), 86_400)) }
        guard let date = seconds(ofHTTPDate: text) else { return nil }
        return .seconds(min(max(0, date &- unixSeconds), 86_400))
    }

    private static func seconds(ofHTTPDate text: String) -> Int64? {
        let fields = text.split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count == 6, fields[0].hasSuffix(","), fields[5] == "GMT",
            let day = number(fields[1], digits: 2, in: 1...31), let month = months.firstIndex(of: String(fields[2])),
            let year = number(fields[3], digits: 4, in: 1970...9999)
        else { return nil }
        let time = fields[4].split(separator: ":", omittingEmptySubsequences: false)
        guard time.count == 3, let hour = number(time[0], digits: 2, in: 0...23), let minute = number(time[1], digits: 2, in: 0...59),
            let second = number(time[2], digits: 2, in: 0...60)
        else { return nil }
        // Days since 1970 of a date, with years that begin in March.
        let shifted = year - (month < 2 ? 1 : 0)
        let ofYear = (153 * Int64((month + 10) % 12) + 2) / 5 + day - 1
        let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + ofYear - 719_468
        return days * 86_400 + hour * 3_600 + minute * 60 + second
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    private static func number(_ text: Substring, digits: Int, in range: ClosedRange<Int64>) -> Int64? {
        guard text.utf8.count == digits, let number = Int64(text), range.contains(number) else { return nil }
        return number
    }
}
