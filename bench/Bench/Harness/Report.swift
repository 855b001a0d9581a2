/// What a figure found: one JSON object for programs, a few lines for people.
struct Report: Sendable {
    /// Which way the goal points.
    enum Goal: Sendable {
        case atLeast(Double)
        case atMost(Double)

        var value: Double {
            switch self {
            case .atLeast(let value), .atMost(let value): value
            }
        }

        func isMet(by ratio: Double) -> Bool {
            switch self {
            case .atLeast(let value): ratio >= value
            case .atMost(let value): ratio <= value
            }
        }

        var sign: String {
            switch self {
            case .atLeast: ">="
            case .atMost: "<="
            }
        }
    }

    /// One thing that must hold for the figure to be met. Nil ratio: it could not be told.
    struct Condition: Sendable {
        let name: String
        let ratio: Double?
        let goal: Goal

        init(_ name: String, _ ratio: Double?, _ goal: Goal) {
            self.name = name
            self.ratio = ratio
            self.goal = goal
        }

        var isMet: Bool? { ratio.map(goal.isMet) }
    }

    let figure: String
    let name: String
    let unit: String
    let ours: Double?
    let peers: [(String, Double)]
    /// The first one is `ratio` and `goal` of the JSON line; all must hold.
    let conditions: [Condition]
    let lost: Int
    /// What went wrong on our side: the figure is not met then.
    let failure: String?
    /// Why the figure is neither met nor missed.
    let reason: String?
    let extras: [(String, JSON)]

    init(
        _ figure: any Figure.Type, unit: String, ours: Double?, peers: [(String, Double)], conditions: [Condition], measured: Measured,
        reason: String?, failure: String? = nil, extras: [(String, JSON)] = []
    ) {
        self.figure = figure.id
        self.name = figure.title
        self.unit = unit
        self.ours = ours
        self.peers = peers
        self.conditions = conditions
        self.lost = measured.lost
        self.failure = measured.ours.filter { !$0.isLeftOut }.compactMap(\.failure).first ?? failure
        let failures = measured.peers.compactMap { series in series.failure.map { "\(series.name): \($0)" } }
        let leftOut = measured.ours.contains { $0.isLeftOut } ? "ours was left out by --peers-only" : nil
        self.reason = ([leftOut, reason].compactMap { $0 } + failures).joined(separator: "; ").nonEmpty
        self.extras = extras
    }

    /// Nil when a condition needs a peer that is not there.
    var met: Bool? {
        if lost != 0 || failure != nil { return false }
        let verdicts = conditions.map(\.isMet)
        return verdicts.contains(nil) ? nil : verdicts.allSatisfy { $0 == true }
    }

    var json: JSON {
        var members: [(String, JSON)] = [
            ("figure", .text(figure)), ("name", .text(name)), ("unit", .text(unit)), ("ours", .number(ours)),
            ("peers", .object(peers.map { ($0.0, .number($0.1)) })), ("ratio", .number(conditions.first?.ratio)),
            ("goal", .number(conditions.first?.goal.value)), ("met", met.map { .bool($0) } ?? .null), ("lost", .number(Double(lost))),
        ]
        members.append(
            (
                "conditions",
                .array(
                    conditions.map { condition in
                        .object([
                            ("name", .text(condition.name)), ("ratio", .number(condition.ratio)), ("is", .text(condition.goal.sign)),
                            ("goal", .number(condition.goal.value)), ("met", condition.isMet.map { .bool($0) } ?? .null),
                        ])
                    })
            ))
        members += extras
        if let reason { members.append(("reason", .text(reason))) }
        if let failure { members.append(("error", .text(failure))) }
        return .object(members)
    }

    /// The lines for people.
    var table: String {
        var lines = ["\(figure)  \(name)  [\(unit)]"]
        lines.append("    \("llmgine".padded(32)) \(ours?.brief ?? "-")")
        for (name, value) in peers { lines.append("    \(name.padded(32)) \(value.brief)") }
        for condition in conditions {
            let verdict = condition.isMet.map { $0 ? "met" : "NOT MET" } ?? "unknown"
            lines.append(
                "    \(condition.name.padded(32)) \(condition.ratio?.brief ?? "-")  goal \(condition.goal.sign) \(condition.goal.value.brief)  \(verdict)"
            )
        }
        lines.append("    \("lost".padded(32)) \(lost)")
        if let reason { lines.append("    \(reason)") }
        if let failure { lines.append("    \(failure)") }
        return lines.joined(separator: "\n")
    }
}

extension Series {
    /// `{"p50":..,"p99":..}` or the range of rounds, for the extra keys of a report.
    func summary(_ keys: [String]) -> JSON {
        .object(keys.map { ($0, .number(median($0))) })
    }

    /// `[lowest, highest]` round.
    func spread(_ key: String) -> JSON {
        range(key).map { .array([.number($0.lowerBound), .number($0.upperBound)]) } ?? .null
    }
}

extension Measured {
    /// The same number of every contender, as an extra key.
    func all(_ make: (Series) -> JSON) -> JSON {
        .object((ours + peers).filter { $0.failure == nil && !$0.isLeftOut }.map { ($0.name, make($0)) })
    }

    /// What each peer lost, for those that lost something.
    var peersLost: JSON { .object(peers.filter { $0.lost != 0 }.map { ($0.name, .number(Double($0.lost))) }) }
}

extension String {
    /// Nil instead of empty text.
    var nonEmpty: String? { isEmpty ? nil : self }
}

/// One number over another, nil when either is missing or the lower one is zero.
func ratio(_ upper: Double?, _ lower: Double?) -> Double? {
    guard let upper, let lower, lower > 0 else { return nil }
    return upper / lower
}
