package import FoundationEssentials
import LLMgineBus
package import LLMgineCore
import LLMgineResilience
import NIOCore

/// What `llmgine dlq` asks of a node.
package struct DeadLetterQuestion: Sendable, Codable, Hashable {
    package enum Action: String, Sendable, Codable {
        case list, show, retry, remove
    }

    /// What to do.
    package var action: Action
    /// With which letter; nil for all of them.
    package var id: UInt64?
    /// Of a list, the number to begin after.
    package var after: UInt64
    /// Of a list, how many at most; a node gives no more than 1000.
    package var limit: Int

    package init(_ action: Action, id: UInt64? = nil, after: UInt64 = 0, limit: Int = 100) {
        self.action = action
        self.id = id
        self.after = after
        self.limit = limit
    }
}

/// What a node says of its dead letters.
package struct DeadLetterAnswer: Sendable, Codable {
    /// The node.
    package var node: NodeID
    /// How many it has now.
    package var count: Int
    /// How many had to make room for others.
    package var evicted: UInt64
    /// How many were tried again or removed.
    package var done: Int
    /// The letters that were asked for.
    package var letters: [DeadLetterReport]
}

/// One dead letter, for people.
package struct DeadLetterReport: Sendable, Codable {
    /// The most bytes of a payload that are shown.
    package static let maximumPayload = 128 << 10

    package var id: UInt64
    package var message: String
    package var command: String?
    package var subscription: String
    package var topic: String
    package var eventType: String?
    package var session: String
    package var priority: String
    package var error: String
    package var detail: String
    package var attempts: Int
    package var firstAttempt: Date
    package var lastAttempt: Date
    package var payloadBytes: Int
    package var headers: [[String]]?
    /// What was published, as text; nil in a list, and for what is no text.
    package var payload: String?
    /// The same for what is no text.
    package var payloadBase64: Data?

    /// - Parameter isWhole: whether headers and payload are shown.
    init(_ letter: DeadLetter, isWhole: Bool) {
        id = letter.id
        message = letter.message.description
        command = letter.command?.text
        subscription = letter.subscription
        topic = letter.content.topic.text
        eventType = letter.content.eventType
        session = letter.content.session.name
        priority = "\(letter.content.priority)"
        error = letter.error.code.rawValue
        detail = String(letter.error.detail.prefix(500))
        attempts = letter.attempts
        firstAttempt = Date(timeIntervalSince1970: letter.firstAttempt / .seconds(1))
        lastAttempt = Date(timeIntervalSince1970: letter.lastAttempt / .seconds(1))
        payloadBytes = letter.content.payload.readableBytes
        guard isWhole else { return }
        headers = letter.content.headers.pairs.map { [$0.name, $0.value] }
        let bytes = letter.content.payload.readableBytesView.prefix(DeadLetterReport.maximumPayload)
        payload = String(validating: bytes, as: UTF8.self)
        if payload == nil { payloadBase64 = Data(bytes) }
    }
}

extension Node {
    /// Where a node answers for its dead letters: what `llmgine dlq` asks.
    package static func deadLetterTopic(_ node: NodeID) throws(LLMgineError) -> Topic { try Topic("llmgine.dlq.\(node.name)") }

    func respondForDeadLetters() async throws(LLMgineError) {
        let topic = try Node.deadLetterTopic(configuration.name)
        try await bus.respond(to: TopicFilter(topic), options: ResponderOptions(name: "dead letters")) { [weak self] message, _ in
            guard let self else { throw LLMgineError(.stopped, "the node has stopped") }
            let question: DeadLetterQuestion
            do { question = try JSONDecoder().decode(DeadLetterQuestion.self, from: Data(message.payload.readableBytesView)) } catch {
                throw LLMgineError(.badPayload, "this is no question about dead letters", cause: error)
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            return ByteBuffer(bytes: try encoder.encode(try answer(question)))
        }
    }

    private func answer(_ question: DeadLetterQuestion) throws(LLMgineError) -> DeadLetterAnswer {
        let deadLetters = bus.deadLetters
        var letters: [DeadLetter] = []
        var done = 0
        switch question.action {
        case .list: letters = deadLetters.list(after: question.after, limit: min(max(0, question.limit), 1000))
        case .show: letters = [try deadLetter(question.id)]
        case .retry:
            if let id = question.id {
                letters = [try deadLetter(id)]
                done = deadLetters.retry(id) ? 1 : 0
            } else {
                done = deadLetters.retryAll()
            }
        case .remove:
            if let id = question.id {
                letters = [try deadLetter(id)]
                done = deadLetters.remove(id) == nil ? 0 : 1
            } else {
                done = deadLetters.removeAll()
            }
        }
        return DeadLetterAnswer(
            node: configuration.name, count: deadLetters.count, evicted: deadLetters.evicted, done: done,
            letters: letters.map { DeadLetterReport($0, isWhole: question.action == .show) })
    }

    private func deadLetter(_ id: UInt64?) throws(LLMgineError) -> DeadLetter {
        guard let id, let letter = bus.deadLetters[id] else {
            throw LLMgineError(
                .invalidArgument, "node \(configuration.name) has no dead letter \(id.map { "\($0)" } ?? "without a number")")
        }
        return letter
    }
}
