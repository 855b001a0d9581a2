/// Renders metrics in Prometheus' text format 0.0.4.
public enum PrometheusText {
    /// What goes into `Content-Type`.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Renders a snapshot.
    /// - Parameters:
    ///   - snapshot: the metrics.
    ///   - target: what the process is (`service_name`, `service_instance_id`), shown as `target_info`; nothing is shown if empty.
    public static func render(_ snapshot: MetricsSnapshot, target: [MetricsRegistry.Label] = []) -> String {
        var text = ""
        if !target.isEmpty {
            text += "# HELP target_info What this process is.\n# TYPE target_info gauge\ntarget_info\(labels(target)) 1\n"
        }
        var seen: Set<String> = []
        for family in snapshot.families {
            let name = name(of: family.instrument)
            // Two names that differ only in what Prometheus cannot spell would make one family twice.
            guard seen.insert(name).inserted else { continue }
            text += "# HELP \(name) \(escaped(family.instrument.summary, quotes: false))\n"
            text += "# TYPE \(name) \(type(of: family.instrument))\n"
            for series in family.series { append(series, name: name, to: &text) }
        }
        return text
    }

    /// The name of an instrument as Prometheus spells it: `llmgine_events_published_total`, `llmgine_event_processing_duration_seconds`.
    public static func name(of instrument: Instrument) -> String {
        var name = sanitized(instrument.name)
        let unit = units[instrument.unit] ?? (instrument.unit.hasPrefix("{") ? "" : sanitized(instrument.unit))
        if !unit.isEmpty, !name.hasSuffix("_" + unit) { name += "_" + unit }
        if instrument.kind == .counter, !name.hasSuffix("_total") { name += "_total" }
        return name
    }

    private static let units = ["": "", "1": "", "s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent"]

    private static func type(of instrument: Instrument) -> String {
        switch instrument.kind {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }

    private static func append(_ series: MetricsSnapshot.Series, name: String, to text: inout String) {
        switch series.value {
        case .integer(let count): text += "\(name)\(labels(series.labels)) \(count)\n"
        case .number(let number): text += "\(name)\(labels(series.labels)) \(format(number))\n"
        case .distribution(let distribution):
            var upTo: UInt64 = 0
            for (bound, count) in zip(distribution.bounds, distribution.counts) {
                upTo &+= count
                text += "\(name)_bucket\(labels(series.labels, le: format(bound))) \(upTo)\n"
            }
            text += "\(name)_bucket\(labels(series.labels, le: "+Inf")) \(distribution.count)\n"
            text += "\(name)_sum\(labels(series.labels)) \(format(distribution.sum))\n"
            text += "\(name)_count\(labels(series.labels)) \(distribution.count)\n"
        }
    }

    private static func labels(_ labels: [MetricsRegistry.Label], le: String? = nil) -> String {
        var entries = labels.map { "\(sanitized($0.name))=\"\(escaped($0.value, quotes: true))\"" }
        if let le { entries.append("le=\"\(le)\"") }
        return entries.isEmpty ? "" : "{\(entries.joined(separator: ","))}"
    }

    /// Whole numbers without a fraction, others in the shortest form that reads back the same, never with an exponent between 1e-6 and 1e15, so that the
    /// text of a bucket stays the same for ever.
    static func format(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
        if number == number.rounded(), abs(number) < 1e15 { return String(Int64(number)) }
        let shortest = "\(number)"
        guard let exponentAt = shortest.firstIndex(of: "e"), let exponent = Int(shortest[shortest.index(after: exponentAt)...]),
            (-6..<0).contains(exponent)
        else { return shortest }
        let negative = number < 0
        let digits = shortest[..<exponentAt].filter(\.isNumber)
        let significant = digits.hasSuffix("0") && digits.count == 2 && shortest.contains(".0e") ? String(digits.dropLast()) : digits
        return (negative ? "-0." : "0.") + String(repeating: "0", count: -exponent - 1) + significant
    }

    /// Every character that a name may not have becomes `_`, and runs of them one.
    private static func sanitized(_ name: String) -> String {
        var result = ""
        for character in name.unicodeScalars {
            let isDigit = ("0"..."9").contains(character)
            if (isDigit && !result.isEmpty) || ("a"..."z").contains(character) || ("A"..."Z").contains(character) {
                result.unicodeScalars.append(character)
            } else if !result.hasSuffix("_") {
                result += "_"
                if isDigit { result.unicodeScalars.append(character) }
            }
        }
        return result.isEmpty ? "_" : result
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
