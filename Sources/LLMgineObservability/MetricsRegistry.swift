import Synchronization

/// The metrics of one node. A handle is resolved once and kept; adding to it is one or two relaxed atomic additions.
///
/// Labels come from closed sets. An instrument has at most 2,000 series; what goes past that is counted in one series with the label
/// `otel_metric_overflow="true"`, so a mistake with labels costs precision and never memory. A series whose handler is gone makes room for another when
/// there are so many; what it counted is shown with that label then.
public final class MetricsRegistry: Sendable {
    /// The most series of one instrument.
    public static let maximumSeries = 2_000

    /// A name with a value that tells the series of an instrument apart.
    public struct Label: Sendable, Hashable {
        /// The name: `[a-zA-Z_][a-zA-Z0-9_]*` shows unchanged in every rendering.
        public let name: String
        /// The value.
        public let value: String

        /// Makes a label.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }

        static let overflow = Label("otel_metric_overflow", "true")
    }

    private enum Cell {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case observed(@Sendable () -> Double)
    }

    private struct Family {
        let instrument: Instrument
        var series: [[Label]: Cell] = [:]
        var order: [[Label]] = []
        /// Series that nobody adds to any more, and whose places are for whoever needs one.
        var retired: Set<[Label]> = []
        /// What those series counted whose places were taken.
        var folded: MetricsSnapshot.Value?

        /// Whether another series would be counted in that of the overflow.
        var isFull: Bool { order.count - (series[[.overflow]] == nil ? 0 : 1) >= MetricsRegistry.maximumSeries - 1 }

        /// Takes the place of the oldest series that has retired, if there is no free one. What it counted is shown with the overflow, so that the sum
        /// over all series does not fall.
        mutating func makeRoom(overflow: () -> Cell) {
            guard isFull, let index = order.firstIndex(where: { retired.contains($0) }) else { return }
            let key = order.remove(at: index)
            retired.remove(key)
            guard let cell = series.removeValue(forKey: key) else { return }
            let value = MetricsRegistry.value(of: cell)
            folded = folded.map { $0 + value } ?? value
            guard series[[.overflow]] == nil else { return }
            series[[.overflow]] = overflow()
            order.append([.overflow])
        }

        /// What a series shows.
        func value(of labels: [Label]) -> MetricsSnapshot.Value? {
            guard let cell = series[labels] else { return nil }
            let value = MetricsRegistry.value(of: cell)
            guard labels == [.overflow], let folded else { return value }
            return value + folded
        }
    }

    private struct State {
        var families: [String: Family] = [:]
        var order: [String] = []

        mutating func withFamily<Result>(_ instrument: Instrument, _ body: (inout Family) -> Result) -> Result {
            if families[instrument.name] == nil { order.append(instrument.name) }
            return body(&families[instrument.name, default: Family(instrument: instrument)])
        }
    }

    private let state = Mutex(State())
    private let clock = UnixClock()
    private let startedAt: UInt64

    /// Makes an empty registry; the start time of every series is now.
    public init() { startedAt = clock.now() }

    /// The counter of these labels. Order of labels does not matter. An instrument known under its name as another kind is a programmer's mistake and
    /// gives a counter that is not shown.
    public func counter(_ instrument: Instrument, labels: [Label] = []) -> Counter {
        let cell = cell(instrument, labels) { .counter(Counter()) }
        if case .counter(let counter) = cell { return counter }
        return Counter()
    }

    /// The gauge of these labels.
    public func gauge(_ instrument: Instrument, labels: [Label] = []) -> Gauge {
        let cell = cell(instrument, labels) { .gauge(Gauge()) }
        if case .gauge(let gauge) = cell { return gauge }
        return Gauge()
    }

    /// The histogram of these labels.
    public func histogram(_ instrument: Instrument, labels: [Label] = []) -> Histogram {
        guard case .histogram(let bounds) = instrument.kind else { return Histogram(bounds: []) }
        let cell = cell(instrument, labels) { .histogram(Histogram(bounds: bounds)) }
        if case .histogram(let histogram) = cell { return histogram }
        return Histogram(bounds: bounds)
    }

    /// A counter or gauge whose value is asked for when somebody looks: nothing is paid while nobody does. A later one of the same labels replaces it.
    public func observe(_ instrument: Instrument, labels: [Label] = [], value: @escaping @Sendable () -> Double) {
        let key = labels.sorted { $0.name < $1.name }
        state.withLock { state in
            state.withFamily(instrument) { family in
                guard family.series[key] != nil || family.order.count < Self.maximumSeries else { return }
                family.retired.remove(key)
                if family.series.updateValue(.observed(value), forKey: key) == nil { family.order.append(key) }
            }
        }
    }

    /// Forgets a series, for a queue or peer that is gone. Handles to it keep working and are no longer shown.
    public func remove(_ instrument: Instrument, labels: [Label]) {
        let key = labels.sorted { $0.name < $1.name }
        state.withLock { state in
            state.withFamily(instrument) { family in
                family.retired.remove(key)
                if family.series.removeValue(forKey: key) != nil { family.order.removeAll { $0 == key } }
            }
        }
    }

    /// Says that a counter or histogram is done with, for a handler that is gone. It is shown until its place is needed for another series, and goes on
    /// where it stood if it is asked for again before. Handles to it keep working, and are no longer shown once the place is taken.
    package func retire(_ instrument: Instrument, labels: [Label]) {
        let key = labels.sorted { $0.name < $1.name }
        state.withLock { state in
            guard let cell = state.families[instrument.name]?.series[key] else { return }
            switch cell {
            case .counter, .histogram: state.families[instrument.name]?.retired.insert(key)
            case .gauge, .observed: break
            }
        }
    }

    /// The values of this moment. Cells are read without stopping those who add to them.
    public func snapshot() -> MetricsSnapshot {
        let families = state.withLock { state in state.order.compactMap { state.families[$0] } }
        let values = families.map { family in
            MetricsSnapshot.Family(
                instrument: family.instrument,
                series: family.order.compactMap { labels in
                    family.value(of: labels).map { MetricsSnapshot.Series(labels: labels, value: $0) }
                })
        }
        return MetricsSnapshot(startedAt: startedAt, takenAt: clock.now(), families: values.filter { !$0.series.isEmpty })
    }

    private static func value(of cell: Cell) -> MetricsSnapshot.Value {
        switch cell {
        case .counter(let counter): .integer(counter.value)
        case .gauge(let gauge): .number(gauge.value)
        case .histogram(let histogram): .distribution(histogram.distribution)
        case .observed(let read): .number(read())
        }
    }

    private func cell(_ instrument: Instrument, _ labels: [Label], make: () -> Cell) -> Cell {
        let key = labels.sorted { $0.name < $1.name }
        return state.withLock { state in
            state.withFamily(instrument) { family in
                if let cell = family.series[key] {
                    family.retired.remove(key)
                    return cell
                }
                family.makeRoom(overflow: make)
                let key: [Label] = family.isFull ? [.overflow] : key
                if let cell = family.series[key] { return cell }
                let cell = make()
                family.series[key] = cell
                family.order.append(key)
                return cell
            }
        }
    }
}
