import LLMgine
import NIOCore

import struct FoundationEssentials.Data

/// A message as `sub` and `request` print it.
struct ReceivedMessage {
    private let message: Message
    private let context: EventContext?

    init(_ message: Message, _ context: EventContext? = nil) {
        self.message = message
        self.context = context
    }

    /// The payload alone; what is not UTF-8 is said to be so.
    var text: String { utf8 ?? "(\(message.payload.readableBytes) bytes that are no text)" }

    /// One object. A payload that is not UTF-8 stands under `payload_base64`.
    var json: String {
        var object = JSONObject()
        if let context {
            object["topic"] = .string(message.topic.text)
            // The node that it was published on, or the client by the name in its certificate: whoever relays it does so in that name.
            object["publisher"] = .string(context.publisher.name)
            object["priority"] = .string("\(context.priority)")
            if context.session != .bus { object["session"] = .string(context.session.name) }
        }
        if let type = message.eventType { object["type"] = .string(type) }
        if !message.headers.isEmpty {
            object["headers"] = .array(message.headers.pairs.map { .array([.string($0.name), .string($0.value)]) })
        }
        if let utf8 { object["payload"] = .string(utf8) } else { object["payload_base64"] = .string(base64) }
        return JSONValue.object(object).text
    }

    private var utf8: String? { String(validating: message.payload.readableBytesView, as: UTF8.self) }

    private var base64: String { Data(message.payload.readableBytesView).base64EncodedString() }
}
