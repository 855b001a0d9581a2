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
        let answer1 = order.departed()
        #expect(answer1)
        let answer2 = order.departed()
        #expect(!answer2)
        order.wrote(true)
        order.wrote(true)
        order.arrived(batch(1, 2))
        #expect(order.next?.sequence == 1)
        order.entered()
        let answer3 = order.finished()
        #expect(!answer3)
        #expect(order.isSpilling)
        #expect(order.next?.sequence == 2)
        order.entered()
        #expect(order.next == nil)
        let answer4 = order.finished()
        #expect(answer4)
        #expect(!order.isSpilling)
        #expect(order.written == 2)
    }

    @Test func `does not wait for what the disk refused or lost`() {
        var order = SpillOrder()
        let answer5 = order.departed()
        #expect(answer5)
        order.wrote(false)
        let answer6 = order.finished()
        #expect(answer6)
        let answer7 = order.departed()
        #expect(answer7)
        order.wrote(true)
        let arrivals = batch(lost: 1)
        #expect(!arrivals.isEmpty)
        order.arrived(arrivals)
        #expect(order.waiting == 0)
        let answer8 = order.finished()
        #expect(answer8)
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
        let answer9 = order.ended()
        #expect(answer9)
        let answer10 = order.ended()
        #expect(!answer10)
        #expect(order.next == nil)
        let rest = order.takeRest()
        #expect(rest.map(\.sequence) == [1, 2])
        #expect(order.waiting == 0)
    }
}
