package import LLMgineCore

/// The texts behind the numbers of one direction of a link, at the receiving end.
///
/// Numbers must be turned into topics before the next frame is read: an INTERN may start over and give them another meaning.
package struct InternedTexts: Sendable {
    private struct Text: Sendable {
        let text: String
        let topic: Topic?  // nil: fit for the name of an event type only
    }

    private var texts: [Text] = []

    /// Knows nothing yet.
    package init() {}

    /// The highest number in use: all from 1 to it are known.
    package var highest: UInt32 { UInt32(truncatingIfNeeded: texts.count) }

    /// Learns a number. It must be one more than the highest, or 1, which forgets all others.
    /// - Throws: `malformedFrame` for any other, `limitExceeded` past 65,536.
    package mutating func define(_ frame: InternFrame) throws(LLMgineError) {
        if frame.id == 1, !texts.isEmpty { texts.removeAll() }
        guard texts.count < WireLimits.internedTexts else {
            throw LLMgineError(.limitExceeded, "more than \(WireLimits.internedTexts) interned texts")
        }
        guard frame.id == highest + 1 else {
            throw LLMgineError(.malformedFrame, "INTERN of number \(frame.id), where \(highest + 1) comes next")
        }
        texts.append(Text(text: frame.text, topic: try? Topic(frame.text)))
    }

    /// The topic behind a number.
    /// - Throws: `malformedFrame` if the number is unknown or its text cannot be a topic.
    package func topic(_ id: UInt32) throws(LLMgineError) -> Topic {
        let text = try entry(id)
        guard let topic = text.topic else {
            throw LLMgineError(.malformedFrame, "the interned text \"\(text.text.printable)\" is used as a topic, which it cannot be")
        }
        return topic
    }

    /// The name of the event type behind a number, nil for 0.
    /// - Throws: `malformedFrame` if the number is unknown.
    package func eventType(_ id: UInt32) throws(LLMgineError) -> String? { id == 0 ? nil : try entry(id).text }

    private func entry(_ id: UInt32) throws(LLMgineError) -> Text {
        guard id > 0, id <= highest else { throw LLMgineError(.malformedFrame, "the number \(id) was not interned") }
        return texts[Int(id) - 1]
    }
}
