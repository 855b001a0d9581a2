package import LLMgineCore
package import LLMgineWire

import struct NIOCore.ByteBuffer

/// Puts messages together that came in parts, at the receiving end of a link.
///
/// It holds no byte of a message before the message's credit has been counted, and of each no more than its first part has announced; what
/// nobody here wants is followed to its end without being kept. When the link ends, it goes with it.
package struct FragmentAssembly: Sendable {
    private struct Partial: Sendable {
        let head: FragmentFrame.Head
        /// The flows that take it and have paid; if there are none, nothing is kept.
        let flows: [UInt32]
        var received: UInt64
        var bytes = ByteBuffer()
    }

    private var open: [UInt64: Partial] = [:]
    private var highest: UInt64 = 0

    /// Holds nothing.
    package init() {}

    /// How many messages are under way.
    package var count: Int { open.count }
    /// Bytes that are held.
    package var bytes: Int { open.values.reduce(0) { $0 + $1.bytes.readableBytes } }

    /// Looks at the first part of a message, before its credit is counted.
    /// - Throws: `malformedFrame` if the numbers or lengths cannot be right, `limitExceeded` for a message longer than agreed, or one too many.
    package func check(_ fragment: FragmentFrame, _ head: FragmentFrame.Head, limits: WireLimits) throws(LLMgineError) {
        guard fragment.number == highest &+ 1 else {
            throw LLMgineError(.malformedFrame, "FRAGMENT: message \(fragment.number) begins, where \(highest &+ 1) comes next")
        }
        guard head.payloadBytes <= UInt64(limits.maximumPayload),
            head.length - head.payloadBytes <= UInt64(WireLimits.frameOverhead)
        else {
            throw LLMgineError(
                .limitExceeded, "FRAGMENT: a message of \(head.length) bytes with a payload of \(head.payloadBytes) is longer than agreed")
        }
        guard UInt64(fragment.bytes.readableBytes) < head.length else {
            throw LLMgineError(.malformedFrame, "FRAGMENT: the first part of a message holds all of it")
        }
        guard open.count < WireLimits.openFragments else {
            throw LLMgineError(.limitExceeded, "FRAGMENT: more than \(WireLimits.openFragments) messages under way at once")
        }
    }

    /// Takes the first part of a message, which was checked.
    /// - Parameter flows: those of its flows whose credit was counted.
    package mutating func begin(_ fragment: FragmentFrame, _ head: FragmentFrame.Head, for flows: [UInt32]) {
        highest = fragment.number
        var partial = Partial(head: head, flows: flows, received: UInt64(fragment.bytes.readableBytes))
        if !flows.isEmpty { partial.bytes.writeImmutableBuffer(fragment.bytes) }
        open[fragment.number] = partial
    }

    /// Takes a later part. - Returns: the message once it is complete, as the DATA frame that it would have been; nil if nobody wants it.
    /// - Throws: `malformedFrame` for a part of no message, or more or fewer bytes than were announced.
    package mutating func proceed(_ fragment: FragmentFrame) throws(LLMgineError) -> DataFrame? {
        guard var partial = open.removeValue(forKey: fragment.number) else {
            throw LLMgineError(.malformedFrame, "FRAGMENT: a part of message \(fragment.number), of which there is no beginning")
        }
        partial.received += UInt64(fragment.bytes.readableBytes)  // both are at most what arrived
        guard fragment.isLast ? partial.received == partial.head.length : partial.received < partial.head.length else {
            throw LLMgineError(
                .malformedFrame, "FRAGMENT: \(partial.received) bytes of message \(fragment.number), announced were \(partial.head.length)")
        }
        if !partial.flows.isEmpty { partial.bytes.writeImmutableBuffer(fragment.bytes) }
        guard fragment.isLast else {
            open[fragment.number] = partial
            return nil
        }
        guard !partial.flows.isEmpty else { return nil }
        return DataFrame(
            priority: partial.head.priority, flows: partial.flows, baseSequence: partial.head.baseSequence, count: 1,
            messages: partial.bytes)
    }

    /// What the first part of a message under way has announced.
    package func head(_ number: UInt64) -> FragmentFrame.Head? { open[number]?.head }
}
