import LLMgineFlow
import Testing

@Suite struct `A ledger of acknowledgements` {
    private func ledger(arrived: Int, settled: [UInt64]) -> AckLedger {
        var ledger = AckLedger()
        for _ in 0..<arrived { _ = ledger.noteArrival() }
        for ordinal in settled { ledger.settled(ordinal) }
        return ledger
    }

    @Test func `counts what comes from zero`() {
        var ledger = AckLedger()
        #expect(ledger.noteArrival() == 0)
        #expect(ledger.noteArrival() == 1)
    }

    @Test(
        arguments: [
            ([], nil), ([0], Acknowledgement(upTo: 1)), ([0, 1, 2], Acknowledgement(upTo: 3)),
            ([2], Acknowledgement(upTo: 0, beyond: [2..<3])),
            ([2, 4, 3], Acknowledgement(upTo: 0, beyond: [2..<5])), ([4, 2], Acknowledgement(upTo: 0, beyond: [2..<3, 4..<5])),
            ([3, 2, 1, 0], Acknowledgement(upTo: 4)), ([1, 3, 0], Acknowledgement(upTo: 2, beyond: [3..<4])),
            ([0, 0, 0], Acknowledgement(upTo: 1)), ([7, 9], nil),
        ] as [([UInt64], Acknowledgement?)])
    func `says everything up to a point and ranges beyond it`(settled: [UInt64], says: Acknowledgement?) {
        var ledger = ledger(arrived: 5, settled: settled)
        #expect(ledger.take() == says)
        #expect(ledger.take() == nil)
    }

    @Test func `says no more ranges than a frame holds, and the others when those have closed up`() {
        var ledger = ledger(arrived: 300, settled: (0..<150).map { $0 * 2 + 1 })
        let first = ledger.take()
        #expect(first?.beyond.count == AckLedger.maximumRanges)
        for ordinal in 0..<150 { ledger.settled(UInt64(ordinal * 2)) }
        #expect(ledger.take() == Acknowledgement(upTo: 300))
    }
}
