public import CoreMetrics

/// swift-metrics in front of a ``MetricsRegistry``: what libraries count shows up beside our own metrics.
///
/// Bind it with `withMetricsFactory`, or bootstrap it if there is one node in the process. Dimensions become labels, under the registry's limit of series.
public struct RegistryMetricsFactory: MetricsFactory {
    private let registry: MetricsRegistry

    /// Wraps a registry.
    public init(_ registry: MetricsRegistry) { self.registry = registry }

    /// A counter of whole numbers.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        CounterBridge(cell: registry.counter(Instrument(.counter, label, ""), labels: labels(dimensions)))
    }

    /// A counter of fractions, which the registry keeps as a gauge.
    public func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        GaugeBridge(cell: registry.gauge(Instrument(.gauge, label, ""), labels: labels(dimensions)))
    }

    /// A gauge.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        GaugeBridge(cell: registry.gauge(Instrument(.gauge, label, ""), labels: labels(dimensions)))
    }

    /// A histogram if values are to be aggregated, else a gauge of the last one.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return GaugeBridge(cell: registry.gauge(Instrument(.gauge, label, ""), labels: labels(dimensions))) }
        let instrument = Instrument(.histogram(bounds: Instrument.tokenBounds), label, "")
        return HistogramBridge(cell: registry.histogram(instrument, labels: labels(dimensions)))
    }

    /// A histogram of seconds.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let instrument = Instrument(.histogram(bounds: Instrument.durationBounds), label, unit: "s", "")
        return HistogramBridge(cell: registry.histogram(instrument, labels: labels(dimensions)))
    }

    // Series stay: a counter that vanishes and comes back would look like a restart.
    /// Does nothing.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// Does nothing.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    /// Does nothing.
    public func destroyMeter(_ handler: any MeterHandler) {}
    /// Does nothing.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Does nothing.
    public func destroyTimer(_ handler: any TimerHandler) {}

    private func labels(_ dimensions: [(String, String)]) -> [MetricsRegistry.Label] {
        dimensions.map { MetricsRegistry.Label($0.0, $0.1) }
    }
}

private final class CounterBridge: CounterHandler {
    private let cell: MetricsRegistry.Counter
    init(cell: MetricsRegistry.Counter) { self.cell = cell }
    func increment(by amount: Int64) { cell.increment(by: UInt64(max(0, amount))) }
    func reset() { cell.reset() }
}

private final class GaugeBridge: FloatingPointCounterHandler, MeterHandler, RecorderHandler {
    private let cell: MetricsRegistry.Gauge
    init(cell: MetricsRegistry.Gauge) { self.cell = cell }
    func increment(by amount: Double) { cell.add(amount) }
    func decrement(by amount: Double) { cell.add(-amount) }
    func reset() { cell.set(0) }
    func set(_ value: Int64) { cell.set(Double(value)) }
    func set(_ value: Double) { cell.set(value) }
    func record(_ value: Int64) { cell.set(Double(value)) }
    func record(_ value: Double) { cell.set(value) }
}

private final class HistogramBridge: RecorderHandler, TimerHandler {
    private let cell: MetricsRegistry.Histogram
    init(cell: MetricsRegistry.Histogram) { self.cell = cell }
    func record(_ value: Int64) { cell.record(Double(value)) }
    func record(_ value: Double) { cell.record(value) }
    func recordNanoseconds(_ duration: Int64) { cell.record(nanoseconds: UInt64(max(0, duration))) }
}
