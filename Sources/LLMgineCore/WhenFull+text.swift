extension WhenFull: CustomStringConvertible {
    /// The policy that a text names: `block`, `block:2s`, `drop-oldest`, `reject-new`, `adaptive-rate-limit`, `adaptive-rate-limit:500ms`,
    /// `conflate:topic`, `conflate:header=symbol`, `spill`, `spill:64MiB`.
    /// - Throws: `invalidConfiguration`, naming what there is.
    public init(named text: String) throws(LLMgineError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let argument = parts.count == 2 ? String(parts[1]) : nil
        let policy: WhenFull? =
            switch parts[0] {
            case "block": argument.map { WhenFull.duration($0).map { .block(deadline: $0) } } ?? .block
            case "adaptive-rate-limit":
                argument.map { WhenFull.duration($0).map { .adaptiveRateLimit(deadline: $0) } } ?? .adaptiveRateLimit
            case "drop-oldest" where argument == nil: .dropOldest
            case "reject-new" where argument == nil: .rejectNew
            case "spill": argument.map { WhenFull.bytes($0).map { .spill(maximumBytes: $0) } } ?? .spill
            case "conflate": ConflationKey(argument ?? "topic").map { .conflate(by: $0) }
            default: nil
            }
        guard let policy else {
            throw LLMgineError(.invalidConfiguration, "there is no such policy for a full queue; there are \(WhenFull.examples)")
        }
        self = policy
    }

    /// What may be said, for help texts.
    public static let examples =
        "block, block:2s, drop-oldest, reject-new, adaptive-rate-limit, adaptive-rate-limit:500ms, conflate:topic, conflate:header=NAME, spill, spill:64MiB"

    /// The text that ``init(named:)`` takes.
    public var description: String {
        switch self {
        case .block(let deadline): "block:\(WhenFull.text(deadline))"
        case .dropOldest: "drop-oldest"
        case .rejectNew: "reject-new"
        case .adaptiveRateLimit(let deadline): "adaptive-rate-limit:\(WhenFull.text(deadline))"
        case .conflate(let key): "conflate:\(key)"
        case .spill(let bytes): bytes > 0 && bytes.isMultiple(of: 1 << 20) ? "spill:\(bytes >> 20)MiB" : "spill:\(bytes)"
        }
    }

    private static func duration(_ text: String) -> Duration? {
        if text.hasSuffix("ms") { return Int32(text.dropLast(2)).flatMap { $0 >= 0 ? .milliseconds($0) : nil } }
        guard text.hasSuffix("s") else { return nil }
        return Int32(text.dropLast()).flatMap { $0 >= 0 ? .seconds($0) : nil }
    }

    private static func bytes(_ text: String) -> Int? {
        for (unit, shift) in [("KiB", 10), ("MiB", 20), ("GiB", 30)] where text.hasSuffix(unit) {
            return Int32(text.dropLast(3)).flatMap { $0 > 0 ? Int($0) << shift : nil }
        }
        return Int(text).flatMap { $0 > 0 ? $0 : nil }
    }

    private static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        guard attoseconds != 0, seconds < Int64(Int32.max) else { return "\(seconds)s" }
        return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)ms"
    }
}

extension ConflationKey: CustomStringConvertible {
    /// `topic` or `header=NAME`.
    public var description: String {
        switch self {
        case .topic: "topic"
        case .header(let name): "header=\(name)"
        }
    }

    /// Nil for any other text.
    init?(_ text: String) {
        if text == "topic" {
            self = .topic
        } else if text.hasPrefix("header="), text.utf8.count > 7 {
            self = .header(String(text.dropFirst(7)))
        } else {
            return nil
        }
    }
}
