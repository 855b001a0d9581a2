public import LLMgineObservability

extension MessageBus {
    /// The metrics of this moment: counters, histograms with p50, p95 and p99, and gauges, under the names that ``MetricsSummary`` lists.
    ///
    /// Nobody who counts is held up. For series and labels take a snapshot of the `metrics` of ``observability``.
    public func metrics() -> MetricsSummary { MetricsSummary(observability.metrics.snapshot()) }
}
