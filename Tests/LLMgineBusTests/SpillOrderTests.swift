import LLMgineBus
import LLMgineCore
import Testing

import struct NIOCore.ByteBuffer

@Suite struct `The order of events on a disk` {
    private func record(_ number: UInt64) -> SpillRecord {
        SpillRecord(Message(topic: "spilled", payload: ByteBuffer(integer: number)), sequence: number, at: .zero)
    }

    private func batch(_ numbers: UInt64..., lost: Int = 0) -> SpillOrder.Arrivals {
        let records = numbers.map { number in
            var bytes = record(number).bytes
            return bytes.readLengthPrefixedSlice(as: UInt32.self) ?? ByteBuffer()
        }
        return SpillOrder.Arrivals(SpillFile.Batch(records: records, lost: lost))
    }

    @Test func `leads over the disk until all are back`() {
        var order = SpillOrder()
        let isFirst = order.departed()
        #expect(isFirst)
        let isFirstTwice = order.departed()
        #expect(!isFirstTwice)
        order.wrote(true)
        order.wrote(true)
        order.arrived(batch(1, 2))
        #expect(order.next?.sequence == 1)
        order.entered()
        let isBackEarly = order.finished()
        #expect(!isBackEarly)
        #expect(order.isSpilling)
        #expect(order.next?.sequence == 2)
        order.entered()
        #expect(order.next == nil)
        let isBack = order.finished()
        #expect(isBack)
        #expect(!order.isSpilling)
        #expect(order.written == 2)
    }

    @Test func `does not wait for what the disk refused or lost`() {
        var order = SpillOrder()
        let isFirst = order.departed()
        #expect(isFirst)
        order.wrote(false)
        let isBack = order.finished()
        #expect(isBack)
        let isFirstAgain = order.departed()
        #expect(isFirstAgain)
        order.wrote(true)
        let arrivals = batch(lost: 1)
        #expect(!arrivals.isEmpty)
        order.arrived(arrivals)
        #expect(order.waiting == 0)
        let isBackAgain = order.finished()
        #expect(isBackAgain)
    }

    @Test func `counts a record that makes no sense as lost`() {
        let arrivals = SpillOrder.Arrivals(SpillFile.Batch(records: [ByteBuffer(string: "?")]))
        #expect(arrivals.lost == 1)
    }

    @Test func `gives nothing back after its end but the rest`() {
        var order = SpillOrder()
        _ = order.departed()
        _ = order.departed()
        order.arrived(batch(1, 2))
        let isEnded = order.ended()
        #expect(isEnded)
        let isEndedTwice = order.ended()
        #expect(!isEndedTwice)
        #expect(order.next == nil)
        let rest = order.takeRest()
        #expect(rest.map(\.sequence) == [1, 2])
        #expect(order.waiting == 0)
    }
}
