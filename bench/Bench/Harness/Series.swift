/// Something that is measured in turns with others.
struct Contender: Sendable {
    let name: String
    let isOurs: Bool
    let measure: @Sendable () async throws -> Reading

    static func ours(_ name: String = "llmgine", measure: @escaping @Sendable () async throws -> Reading) -> Contender {
        Contender(name: name, isOurs: true, measure: measure)
    }

    static func peer(_ name: String, measure: @escaping @Sendable () async throws -> Reading) -> Contender {
        Contender(name: name, isOurs: false, measure: measure)
    }
}

/// The readings of one contender over all rounds.
struct Series: Sendable {
    let name: String
    var readings: [Reading] = []
    /// Why a round brought no reading.
    var failure: String?
    /// Whether nobody asked for it, which is no failure.
    let isLeftOut: Bool

    /// The median over the rounds; nil when there is none to take, or a round failed.
    func median(_ key: String) -> Double? {
        let sorted = values(key).sorted()
        guard failure == nil, !sorted.isEmpty else { return nil }
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }

    /// The lowest and the highest round: how noisy the machine was.
    func range(_ key: String) -> ClosedRange<Double>? {
        let values = values(key)
        guard let low = values.min(), let high = values.max() else { return nil }
        return low...high
    }

    /// Events lost over all rounds.
    var lost: Int { readings.reduce(0) { $0 + $1.lost } }

    private func values(_ key: String) -> [Double] { readings.compactMap { $0.values[key] } }
}

extension Laboratory {
    /// Measures the contenders in turns, round by round, so that what disturbs the machine disturbs all of them.
    func alternate(_ contenders: [Contender]) async -> Measured {
        var series = contenders.map { Series(name: $0.name, isLeftOut: $0.isOurs && peersOnly) }
        for round in 1...rounds {
            // Every second round runs backwards: nobody always follows the same neighbour.
            let order = round.isMultiple(of: 2) ? Array(contenders.indices.reversed()) : Array(contenders.indices)
            for index in order where series[index].failure == nil && !series[index].isLeftOut {
                let contender = contenders[index]
                do {
                    let reading = try await contender.measure()
                    series[index].readings.append(reading)
                    let numbers = reading.values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.brief)" }.joined(separator: "  ")
                    Output.tell("  round \(round)  \(contender.name.padded(28)) \(numbers)  lost \(reading.lost)")
                } catch {
                    series[index].failure = "\(error)"
                    Output.tell("  round \(round)  \(contender.name.padded(28)) failed: \(error)")
                }
            }
        }
        let ours = Set(contenders.filter(\.isOurs).map(\.name))
        return Measured(ours: series.filter { ours.contains($0.name) }, peers: series.filter { !ours.contains($0.name) })
    }
}

/// All series of a figure.
struct Measured: Sendable {
    let ours: [Series]
    let peers: [Series]

    subscript(name: String) -> Series? { (ours + peers).first { $0.name == name } }

    /// Each peer's median, in the order measured, without those that failed.
    func peers(_ key: String) -> [(String, Double)] {
        peers.compactMap { series in series.median(key).map { (series.name, $0) } }
    }

    /// Events that our side lost.
    var lost: Int { ours.reduce(0) { $0 + $1.lost } }
}

extension Double {
    /// Four significant digits with a unit letter: 4.123 M.
    var brief: String {
        switch magnitude {
        case 1e6...: "\((self / 1e6).rounded(digits: 4)) M"
        case 1e4...: "\((self / 1e3).rounded(digits: 4)) k"
        default: "\(rounded(digits: 4))"
        }
    }

    /// Rounded to a number of significant digits.
    func rounded(digits: Int) -> Double {
        guard isFinite, self != 0 else { return self }
        // Whole powers of ten on both sides, so that the result has no tail of its own.
        var exponent = digits - 1
        var magnitude = magnitude
        while magnitude >= 10 { (magnitude, exponent) = (magnitude / 10, exponent - 1) }
        while magnitude < 1 { (magnitude, exponent) = (magnitude * 10, exponent + 1) }
        let power = (0..<abs(exponent)).reduce(1.0) { power, _ in power * 10 }
        return exponent >= 0 ? (self * power).rounded() / power : (self / power).rounded() * power
    }
}

extension String {
    /// Filled with spaces to a width.
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
