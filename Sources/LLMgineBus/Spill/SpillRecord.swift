package import LLMgineCore

package import struct NIOCore.ByteBuffer

/// One event on its way over the disk.
package struct SpillRecord: Sendable {
    package var message: Message
    package var sequence: UInt64
    /// Whose it is, if this node only passes it on.
    package var origin: MessageID?
    /// When nobody wants it any more, counted from the start of the machine: a file outlives no process.
    package var expires: Duration?

    /// - Parameter now: the time since the start of the machine, from which what is left of a time to live is counted.
    package init(_ message: Message, sequence: UInt64, origin: MessageID? = nil, at now: Duration) {
        self.message = message
        self.sequence = sequence
        self.origin = origin
        expires = message.timeToLive.map { now + min($0, .horizon) }
    }

    /// The message with what is left of its time to live.
    package func message(at now: Duration) -> Message {
        var message = message
        message.timeToLive = expires.map { max(.zero, $0 - now) }
        return message
    }

    private struct Parts: OptionSet {
        let rawValue: UInt8
        static let type = Parts(rawValue: 1)
        static let trace = Parts(rawValue: 2)
        static let expires = Parts(rawValue: 4)
        static let origin = Parts(rawValue: 8)
    }

    // MARK: Writing

    /// The record in bytes: their number, as 32 bits, and what they are.
    package var bytes: ByteBuffer {
        var parts = Parts()
        if message.eventType != nil { parts.insert(.type) }
        if message.trace != nil { parts.insert(.trace) }
        if expires != nil { parts.insert(.expires) }
        if origin != nil { parts.insert(.origin) }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(64 + message.payload.readableBytes)
        buffer.writeInteger(0 as UInt32)
        buffer.writeInteger(parts.rawValue)
        buffer.writeInteger(message.priority.rawValue)
        buffer.writeInteger(sequence)
        buffer.write(text: message.topic.text)
        buffer.write(text: message.session.name)
        if let type = message.eventType { buffer.write(text: type) }
        if let trace = message.trace {
            buffer.writeMultipleIntegers(trace.traceHigh, trace.traceLow, trace.span, trace.flags)
        }
        if let expires { buffer.writeInteger(expires.wholeNanoseconds) }
        if let origin {
            buffer.write(text: origin.node.name)
            buffer.writeMultipleIntegers(origin.incarnation.value, origin.sequence)
        }
        let pairs = message.headers.pairs
        buffer.writeInteger(UInt32(clamping: pairs.count))
        for pair in pairs {
            buffer.write(text: pair.name)
            buffer.write(text: pair.value)
        }
        buffer.writeImmutableBuffer(message.payload)
        buffer.setInteger(UInt32(clamping: buffer.readableBytes - 4), at: 0)
        return buffer
    }

    // MARK: Reading

    /// Reads what follows the number of bytes. - Returns: nil if it makes no sense.
    package init?(_ bytes: ByteBuffer) {
        var buffer = bytes
        guard let parts = buffer.readInteger(as: UInt8.self).map(Parts.init(rawValue:)),
            let priority = buffer.readInteger(as: UInt8.self).flatMap(Priority.init(rawValue:)),
            let sequence = buffer.readInteger(as: UInt64.self),
            let topic = buffer.readText().flatMap({ try? Topic($0) }),
            let session = buffer.readText()
        else { return nil }
        self.sequence = sequence
        var type: String?
        if parts.contains(.type) {
            type = buffer.readText()
            guard type != nil else { return nil }
        }
        var trace: TraceContext?
        if parts.contains(.trace) {
            guard let (high, low, span, flags) = buffer.readMultipleIntegers(as: (UInt64, UInt64, UInt64, UInt8).self) else { return nil }
            trace = TraceContext(traceHigh: high, traceLow: low, span: span, flags: flags)
        }
        if parts.contains(.expires) {
            guard let nanoseconds = buffer.readInteger(as: Int64.self) else { return nil }
            expires = .nanoseconds(nanoseconds)
        }
        if parts.contains(.origin) {
            guard let node = buffer.readText().flatMap({ try? NodeID($0) }),
                let (incarnation, number) = buffer.readMultipleIntegers(as: (UInt64, UInt64).self)
            else { return nil }
            origin = MessageID(node: node, incarnation: Incarnation(incarnation), sequence: number)
        }
        guard let count = buffer.readInteger(as: UInt32.self) else { return nil }
        var headers = Headers()
        for _ in 0..<count {
            guard let name = buffer.readText(), let value = buffer.readText() else { return nil }
            headers.add(name, value)
        }
        message = Message(
            topic: topic, payload: buffer, eventType: type, priority: priority, session: SessionID(session), headers: headers, trace: trace)
    }
}

extension ByteBuffer {
    fileprivate mutating func write(text: String) {
        writeInteger(UInt32(clamping: text.utf8.count))
        writeString(text)
    }

    fileprivate mutating func readText() -> String? {
        readInteger(as: UInt32.self).flatMap { readString(length: Int($0)) }
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }
}
