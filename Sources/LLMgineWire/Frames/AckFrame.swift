package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// Says which messages of a flow the subscriber has processed or given up into its dead letters, so that their publisher need not keep them.
///
/// Messages of one flow and class count from 0 in the order in which they came since the link started. Everything below `upTo` is settled, and
/// so is each range beyond it. On the wire a range is the distance from what was said last, and its length.
package struct AckFrame: FrameBody {
    /// The flow that they came for.
    package var flow: UInt32
    /// The class that they came in.
    package var priority: Priority
    /// Everything below it is settled.
    package var upTo: UInt64
    /// What else is, ascending and apart from each other; at most ``WireLimits/ackRanges``.
    package var beyond: [Range<UInt64>]

    package init(flow: UInt32, priority: Priority, upTo: UInt64, beyond: [Range<UInt64>] = []) {
        self.flow = flow
        self.priority = priority
        self.upTo = upTo
        self.beyond = beyond
    }

    init(reading reader: inout BodyReader) throws(WireFault) {
        flow = try reader.varint32()
        priority = try reader.priority()
        upTo = try reader.varint()
        beyond = []
        var last = upTo
        for _ in 0..<(try reader.count(maximum: WireLimits.ackRanges, bytesEach: 2)) {
            let start = last.addingReportingOverflow(try reader.varint())
            let end = start.partialValue.addingReportingOverflow(try reader.varint())
            guard !start.overflow, !end.overflow else { throw .varintOverflow }
            guard start.partialValue > last, end.partialValue > start.partialValue else { throw .invalidValue }
            beyond.append(start.partialValue..<end.partialValue)
            last = end.partialValue
        }
    }

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeVarint(flow)
        buffer.writeInteger(priority.rawValue)
        buffer.writeVarint(upTo)
        buffer.writeVarint(beyond.count)
        var last = upTo
        for range in beyond {
            buffer.writeVarint(range.lowerBound - last)
            buffer.writeVarint(range.upperBound - range.lowerBound)
            last = range.upperBound
        }
    }
}
