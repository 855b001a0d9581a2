import LLMgineCore
import LLMgineObservability
import Synchronization
import Testing

@Suite struct `A span recorder` {
    private func span(_ number: UInt64) -> FinishedSpan {
        FinishedSpan(.publish, "a", context: TraceContext(traceHigh: 1, traceLow: 1, span: number, flags: 1), start: number, end: number)
    }

    @Test(arguments: [1, 7, 511, 512, 513, 5_000])
    func `hands spans out in order, whatever the batch`(batch: Int) {
        let recorder = SpanRecorder()
        for number in 1...3_000 as ClosedRange<UInt64> { recorder.record(span(number)) }
        var all: [UInt64] = []
        var spans: [FinishedSpan] = []
        while recorder.drain(into: &spans, maximum: batch) > 0 || !spans.isEmpty {
            #expect(spans.count <= batch)
            all += spans.map(\.start)
            spans.removeAll(keepingCapacity: true)
        }
        #expect(all == Array(1...3_000))
        #expect(recorder.counts.drained == 3_000 && recorder.counts.waiting == 0 && recorder.counts.dropped == 0)
    }

    @Test func `drops the new span when it is full, and counts it`() {
        let recorder = SpanRecorder(capacity: 3)
        #expect((1...5).map { recorder.record(span($0)) } == [true, true, true, false, false])
        var spans: [FinishedSpan] = []
        #expect(recorder.drain(into: &spans, maximum: 10) == 0)
        #expect(spans.map(\.start) == [1, 2, 3])
        #expect(recorder.counts.dropped == 2 && recorder.counts.offered == 5)
    }

    @Test func `rings each time it grows to a batch`() {
        let recorder = SpanRecorder()
        let rings = Rings()
        recorder.onBatch(of: 10) { rings.count.add(1, ordering: .relaxed) }
        for number in 1...25 as ClosedRange<UInt64> { recorder.record(span(number)) }
        #expect(rings.count.load(ordering: .relaxed) == 1)
        var spans: [FinishedSpan] = []
        recorder.drain(into: &spans, maximum: 20)
        for number in 1...5 as ClosedRange<UInt64> { recorder.record(span(number)) }
        #expect(rings.count.load(ordering: .relaxed) == 2)
        recorder.onBatch(of: 10, wake: nil)
        recorder.record(span(1))
        #expect(rings.count.load(ordering: .relaxed) == 2)
    }

    private final class Rings: Sendable {
        let count = Atomic(0)
    }

    @Test func `accounts for every span of many threads`() async {
        let recorder = SpanRecorder(capacity: 700)
        let drained = Rings()
        await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var accepted = 0
                    for number in 1...5_000 as ClosedRange<UInt64> where recorder.record(self.span(number)) { accepted += 1 }
                    return accepted
                }
            }
            group.addTask {
                var spans: [FinishedSpan] = []
                for _ in 0..<200 {
                    recorder.drain(into: &spans, maximum: 100)
                    drained.count.add(spans.count, ordering: .relaxed)
                    spans.removeAll()
                    await Task.yield()
                }
                return 0
            }
            let accepted = await group.reduce(0, +)
            let counts = recorder.counts
            #expect(counts.offered == 20_000 && Int(counts.offered - counts.dropped) == accepted)
            #expect(Int(counts.drained) == drained.count.load(ordering: .relaxed) && Int(counts.drained) + counts.waiting == accepted)
            #expect(counts.waiting <= 700)
        }
    }
}
