import LLMgineCore
import LLMgineResilience

import struct NIOCore.ByteBuffer

/// What is known of an event on its way to a handler, beside its content.
struct Envelope: Sendable {
    let run: DeliveryRun
    let sequence: UInt64
    let extras: MessageExtras?
    /// Events that were lost immediately before this one.
    var missed: UInt64
    /// What happened to it before, if it comes out of the dead letters.
    var trial: Trial?

    var id: MessageID { MessageID(node: run.node, incarnation: run.incarnation, sequence: sequence) }

    /// Whether nobody wants it any more.
    var isExpired: Bool { extras?.expires.map { $0 <= .now } ?? false }
}

/// One event with its content, as it came out of a queue.
struct Delivery<Value: Sendable>: Sendable {
    enum Body: Sendable {
        case value(Value)
        case message(Message)
    }

    let body: Body
    let envelope: Envelope
    /// Whom to give the credit back to, and how many bytes of it.
    var credit: (any CreditReturn)?
    var bytes = 0
}

/// A dead letter that is tried again.
final class Trial: Sendable {
    let letter: DeadLetter
    init(_ letter: DeadLetter) { self.letter = letter }
}

/// How the values of one handler are read from messages and written into them.
package struct ValueForm<Value: Sendable>: Sendable {
    /// The wire name of the type, nil for messages as they are.
    let eventType: String?
    let decode: @Sendable (Message) throws -> Value
    let encode: @Sendable (Value, inout ByteBuffer) throws -> Void
    /// The wire names of the types that it takes, where there are several.
    var members: Set<String>?
    /// Makes the handler's value of an event of such a type.
    var lift: (@Sendable (any Event) -> Value?)?
    /// The wire name of a value, where that is not always the same.
    var nameOf: (@Sendable (Value) -> String?)?

    func name(of value: Value) -> String? { nameOf?(value) ?? eventType }
}

extension ValueForm where Value: Event {
    static var typed: ValueForm {
        ValueForm(eventType: Value.eventType, decode: { try Value(decoding: $0.payload) }, encode: { try $0.encode(into: &$1) })
    }
}

extension ValueForm<Message> {
    static var raw: ValueForm { ValueForm(eventType: nil, decode: { $0 }, encode: { $1 = $0.payload }) }
}
