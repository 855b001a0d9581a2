package import LLMgineCore

/// The numbers that one direction of a link uses for topics and event types, at the sending end.
///
/// 65,536 texts fit. A link that has used them up starts over: ``startOver()`` forgets all, and the INTERN of number 1 that follows makes
/// the receiver forget them too. Frames keep their order, so this is sound as long as nothing is still queued that was encoded with the
/// old numbers; the generation says with which table a run was encoded.
package struct InternTable: Sendable {
    /// The number of a text.
    package struct Reference: Sendable, Hashable {
        /// 1 to 65,536.
        package let id: UInt32
        /// Whether the receiver does not know it yet: an INTERN frame must go before the first message that uses it.
        package let isNew: Bool

        package init(id: UInt32, isNew: Bool) {
            self.id = id
            self.isNew = isNew
        }
    }

    /// Grows each time the table starts over.
    package private(set) var generation: UInt64 = 0
    /// How many texts have a number.
    package private(set) var count: UInt32 = 0

    private let capacity: UInt32
    private var topics: [Topic: UInt32] = [:]
    private var names: [String: UInt32] = [:]
    private var lastTopic = Last()
    private var lastName = Last()

    /// The text that was asked for last: most are asked for again.
    private struct Last {
        var text = ""
        var fingerprint: UInt64 = 0
        var id: UInt32 = 0  // 0: none yet
    }

    /// An empty table. - Parameter capacity: how many texts fit; fewer than the protocol's limit only in tests.
    package init(capacity: UInt32 = WireLimits.internedTexts) { self.capacity = min(capacity, WireLimits.internedTexts) }

    /// The number of a topic, nil when the table is full. The same topic twice in a row is found without hashing.
    package mutating func reference(_ topic: Topic) -> Reference? {
        if lastTopic.id != 0, lastTopic.fingerprint == topic.fingerprint, lastTopic.text == topic.text {
            return Reference(id: lastTopic.id, isNew: false)
        }
        let isNew: Bool
        let id: UInt32
        if let known = topics[topic] {
            (id, isNew) = (known, false)
        } else {
            guard let next = takeNext() else { return nil }
            topics[topic] = next
            (id, isNew) = (next, true)
        }
        lastTopic = Last(text: topic.text, fingerprint: topic.fingerprint, id: id)
        return Reference(id: id, isNew: isNew)
    }

    /// The number of an event type's name, nil when the table is full.
    /// - Throws: `limitExceeded` for a name of more than 256 bytes, `invalidArgument` for an empty one.
    package mutating func reference(eventType name: String) throws(LLMgineError) -> Reference? {
        if lastName.id != 0, lastName.text == name { return Reference(id: lastName.id, isNew: false) }
        if let known = names[name] {
            lastName = Last(text: name, id: known)
            return Reference(id: known, isNew: false)
        }
        guard !name.isEmpty else { throw LLMgineError(.invalidArgument, "an event type without a name") }
        guard name.utf8.count <= WireLimits.textBytes else {
            throw LLMgineError(.limitExceeded, "an event type's name of more than \(WireLimits.textBytes) bytes")
        }
        guard let next = takeNext() else { return nil }
        names[name] = next
        lastName = Last(text: name, id: next)
        return Reference(id: next, isNew: true)
    }

    /// Forgets all numbers. - Precondition: no message that was encoded with them is still to be sent, which only the caller can know; until
    /// then a full table is a `limitExceeded` for whoever publishes to a new topic.
    package mutating func startOver() {
        generation += 1
        count = 0
        topics.removeAll()
        names.removeAll()
        lastTopic = Last()
        lastName = Last()
    }

    /// Starts over but for the numbers that are still used: they are given out again from 1 on, in the order that they had, so that none
    /// grows. The receiver has to be told all of them anew before what uses them.
    /// - Returns: the texts of 1, 2 and so on, and the number that each had before.
    package mutating func startOver(keeping used: Set<UInt32>) -> [(before: UInt32, text: String)] {
        let keptTopics = topics.filter { used.contains($0.value) }
        let keptNames = names.filter { used.contains($0.value) }
        startOver()
        let kept = (keptTopics.map { (before: $1, text: $0.text) } + keptNames.map { (before: $1, text: $0) }).sorted {
            $0.before < $1.before
        }
        var renewed: [UInt32: UInt32] = [:]
        for text in kept { renewed[text.before] = takeNext() }
        topics = keptTopics.compactMapValues { renewed[$0] }
        names = keptNames.compactMapValues { renewed[$0] }
        return kept
    }

    private mutating func takeNext() -> UInt32? {
        guard count < capacity else { return nil }
        count += 1
        return count
    }
}
