import LLMgineCore
import LLMgineObservability
import Testing

@Suite struct `A sampler` {
    private let sampled = TraceContext(traceHigh: 1, traceLow: .max, span: 3, flags: 3)
    private let unsampled = TraceContext(traceHigh: 1, traceLow: 0, span: 3, flags: 2)

    @Test func `decides a ratio on the low half of the trace id, as the Go SDK does`() {
        let half = Sampler(ratio: 0.5)
        #expect(half.keeps(traceLow: 0x7FFF_FFFF_FFFF_FFFF, parent: nil, topic: nil))
        #expect(!half.keeps(traceLow: 0x8000_0000_0000_0000, parent: nil, topic: nil))
        #expect(Sampler(ratio: 1).keeps(traceLow: .max, parent: nil, topic: nil))
        #expect(!Sampler(ratio: 0).keeps(traceLow: 0, parent: nil, topic: nil))
        #expect(Sampler(ratio: .nan).keeps(traceLow: .max, parent: nil, topic: nil))
        #expect(!Sampler(ratio: -3).keeps(traceLow: 0, parent: nil, topic: nil))
    }

    @Test func `of a larger ratio keeps what one of a smaller ratio keeps`() {
        let ratios = [0.0001, 0.01, 0.1, 0.5, 0.99].map { Sampler(ratio: $0) }
        var low: UInt64 = 1
        for _ in 0..<20_000 {
            low = low &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let kept = ratios.map { $0.keeps(traceLow: low, parent: nil, topic: nil) }
            #expect(kept == kept.sorted { !$0 && $1 }, "trace \(low)")
        }
    }

    @Test func `follows the parent if it is told to`() {
        #expect(Sampler.parentBased.keeps(traceLow: .max, parent: sampled, topic: nil))
        #expect(!Sampler.parentBased.keeps(traceLow: 0, parent: unsampled, topic: nil))
        #expect(Sampler(ratio: 0).keeps(traceLow: .max, parent: sampled, topic: nil))
        #expect(!Sampler.alwaysOff.keeps(traceLow: .max, parent: sampled, topic: nil))
        #expect(Sampler.alwaysOn.keeps(traceLow: .max, parent: unsampled, topic: nil))
    }

    @Test func `gives topics the ratio of the first rule that matches`() {
        let sampler = Sampler(ratio: 0, rules: [.init("orders.audit.>", ratio: 1), .init("orders.>", ratio: 0.5)])
        #expect(sampler.keeps(traceLow: .max, parent: nil, topic: "orders.audit.x"))
        #expect(!sampler.keeps(traceLow: .max, parent: nil, topic: "orders.eu"))
        #expect(sampler.keeps(traceLow: 0, parent: nil, topic: "orders.eu"))
        #expect(!sampler.keeps(traceLow: 0, parent: nil, topic: "heartbeats"))
        #expect(!sampler.neverStarts && Sampler.alwaysOff.neverStarts)
    }

    @Test(
        arguments: [
            ([:], Sampler.parentBased, 0),
            (["OTEL_TRACES_SAMPLER": "always_on"], .alwaysOn, 0), (["OTEL_TRACES_SAMPLER": "ALWAYS_OFF"], .alwaysOff, 0),
            (["OTEL_TRACES_SAMPLER": "parentbased_always_off"], Sampler(ratio: 0), 0),
            (["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"], Sampler(ratio: 0.25, followsParent: false), 0),
            (["OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"], Sampler(ratio: 0.01), 0),
            (["OTEL_TRACES_SAMPLER": "parentbased_traceidratio"], Sampler(ratio: 1), 0),
            (["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.5"], Sampler(ratio: 1, followsParent: false), 1),
            (["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "much"], Sampler(ratio: 1, followsParent: false), 1),
            (["OTEL_TRACES_SAMPLER": "jaeger_remote"], .parentBased, 1), (["OTEL_TRACES_SAMPLER": "parentbased_"], .parentBased, 0),
        ] as [([String: String], Sampler, Int)])
    func `is read from the environment`(environment: [String: String], expected: Sampler, warned: Int) {
        var warnings: [String] = []
        #expect(Sampler(environment: environment, warnings: &warnings) == expected)
        #expect(warnings.count == warned)
    }
}
