public import LLMgineCore

/// Decides which traces are recorded.
///
/// A ratio is decided on the trace id alone, so every node that asks comes to the same answer, and a larger ratio keeps a superset of what a
/// smaller one keeps. A rule gives the events of some topics a ratio of their own.
public struct Sampler: Sendable, Hashable {
    /// A ratio for the topics that match a filter.
    public struct Rule: Sendable, Hashable {
        /// Which topics.
        public var filter: TopicFilter
        /// The share of traces to keep, 0 to 1.
        public var ratio: Double

        /// Makes a rule; a ratio outside 0 to 1 is clamped.
        public init(_ filter: TopicFilter, ratio: Double) {
            self.filter = filter
            self.ratio = ratio
        }
    }

    /// The share of traces that are kept, 0 to 1.
    public let ratio: Double
    /// Whether a span follows the decision of the span that caused it, and only roots are decided here.
    public let followsParent: Bool
    /// Tried in order for a root; the first rule whose filter matches its topic replaces the ratio. Each costs one match per root.
    public let rules: [Rule]
    private let threshold: Threshold
    private let thresholds: [(filter: TopicFilter, threshold: Threshold)]

    /// Makes a sampler.
    /// - Parameters:
    ///   - ratio: the share of traces to keep; clamped to 0...1, and what is not a number counts as 1.
    ///   - followsParent: whether a span follows the decision of its parent.
    ///   - rules: ratios for some topics.
    public init(ratio: Double = 1, followsParent: Bool = true, rules: [Rule] = []) {
        self.ratio = ratio
        self.followsParent = followsParent
        self.rules = rules
        self.threshold = Threshold(ratio)
        self.neverStarts = ratio <= 0 && rules.allSatisfy { $0.ratio <= 0 }
        self.thresholds = rules.map { ($0.filter, Threshold($0.ratio)) }
    }

    /// Records everything.
    public static let alwaysOn = Sampler(ratio: 1, followsParent: false)
    /// Records nothing.
    public static let alwaysOff = Sampler(ratio: 0, followsParent: false)
    /// Records every trace that starts here and follows the parent otherwise: the default.
    public static let parentBased = Sampler(ratio: 1)

    /// Whether a span is recorded.
    package func keeps(traceLow: UInt64, parent: TraceContext?, topic: Topic?) -> Bool {
        if followsParent, let parent { return parent.isSampled }
        if let topic, !thresholds.isEmpty {
            for rule in thresholds where rule.filter.matches(topic) { return rule.threshold.keeps(traceLow) }
        }
        return threshold.keeps(traceLow)
    }

    /// Whether no root is ever kept.
    package let neverStarts: Bool

    /// Equality is that of what was asked for.
    public static func == (one: Sampler, other: Sampler) -> Bool {
        one.ratio == other.ratio && one.followsParent == other.followsParent && one.rules == other.rules
    }

    /// Hashes what was asked for.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(ratio)
        hasher.combine(followsParent)
        hasher.combine(rules)
    }

    /// A ratio as a bound on the upper 63 of the low 64 bits of the trace id: the comparison that the Go SDK makes.
    private struct Threshold: Sendable {
        let bound: UInt64

        init(_ ratio: Double) {
            if ratio <= 0 {
                bound = 0
            } else if ratio >= 1 || ratio.isNaN {
                bound = 1 << 63
            } else {
                bound = UInt64(ratio * 0x1p63)
            }
        }

        @inline(__always)
        func keeps(_ traceLow: UInt64) -> Bool { traceLow >> 1 < bound }
    }
}
