import LLMgineCore
import LLMgineOTLP
import LLMgineObservability
import Testing

@Suite struct `A node's tracer` {
    private let parent = TraceContext(traceHigh: 7, traceLow: 8, span: 9, flags: 3)
    private let unsampled = TraceContext(traceHigh: 7, traceLow: 8, span: 9, flags: 2)

    @Test func `lets contexts pass and records nothing while it is off`() {
        let tracer = NodeTracer()
        #expect(tracer.publishStarted(parent: nil, topic: "a") == nil)
        #expect(tracer.publishStarted(parent: parent, topic: "a") == parent)
        tracer.record(FinishedSpan(.publish, "a", context: parent, start: 1, end: 2))
        #expect(tracer.recorder.counts.offered == 0)
    }

    @Test func `starts a trace with random, unique ids`() throws {
        let tracer = NodeTracer(enabled: true)
        var spans: Set<UInt64> = []
        var traces: Set<[UInt64]> = []
        for _ in 0..<10_000 {
            let root = try #require(tracer.publishStarted(parent: nil, topic: "a"))
            #expect(root.isValid && root.flags == 3)
            spans.insert(root.span)
            traces.insert([root.traceHigh, root.traceLow])
        }
        #expect(spans.count == 10_000 && traces.count == 10_000)
    }

    @Test func `continues a trace with a span of its own`() throws {
        let tracer = NodeTracer(enabled: true)
        let child = try #require(tracer.publishStarted(parent: parent, topic: "a"))
        #expect(child.traceHigh == 7 && child.traceLow == 8 && child.span != 9 && child.flags == 3)
        #expect(tracer.child(of: parent).span != parent.span)
    }

    @Test func `hands the parent's ids on when it does not record`() {
        let tracer = NodeTracer(enabled: true)
        #expect(tracer.publishStarted(parent: unsampled, topic: "a") == unsampled)
        #expect(tracer.child(of: unsampled) == unsampled)
        let off = NodeTracer(sampler: .alwaysOff, enabled: true)
        #expect(off.publishStarted(parent: nil, topic: "a") == nil)
        #expect(off.publishStarted(parent: parent, topic: "a") == unsampled, "the ids go on, the flag does not")
    }

    @Test func `ignores a parent whose ids are zero`() throws {
        let tracer = NodeTracer(enabled: true)
        let root = try #require(tracer.publishStarted(parent: TraceContext(traceHigh: 0, traceLow: 0, span: 0, flags: 1), topic: "a"))
        #expect(root.isValid)
    }

    @Test func `never records an inner span of an outer one that it dropped`() {
        let tracer = NodeTracer(sampler: Sampler(ratio: 0.5), enabled: true)
        var both = 0
        var none = 0
        for _ in 0..<10_000 {
            let outer = tracer.publishStarted(parent: nil, topic: "a")
            let inner = tracer.publishStarted(parent: outer, topic: "b")
            let process = inner.map { tracer.child(of: $0) }
            #expect(outer?.isSampled == inner?.isSampled && inner?.isSampled == process?.isSampled)
            if outer?.isSampled == true { both += 1 } else { none += 1 }
        }
        #expect((4_500...5_500).contains(both), "both \(both), none \(none)")
    }

    @Test func `decides alike on two nodes`() throws {
        let sampler = Sampler(ratio: 0.5, followsParent: false)
        let first = NodeTracer(sampler: sampler, enabled: true)
        let second = NodeTracer(sampler: sampler, enabled: true)
        for _ in 0..<1_000 {
            let root = try #require(first.started(below: nil))
            #expect(second.started(below: root)?.isSampled == root.isSampled)
        }
    }

    @Test func `records only what is sampled`() {
        let tracer = NodeTracer(enabled: true)
        tracer.record(FinishedSpan(.publish, "a", context: unsampled, start: 1, end: 2))
        tracer.record(FinishedSpan(.publish, "a", context: parent, start: 1, end: 2))
        #expect(tracer.recorder.counts.offered == 1)
    }

    @Test func `tells the time of day, and never backwards`() {
        let clock = UnixClock()
        var last = clock.now()
        #expect(last > 1_700_000_000_000_000_000)
        for _ in 0..<1_000 {
            let now = clock.now()
            #expect(now >= last)
            last = now
        }
    }
}
