import ArgumentParser
import LLMgine
import NIOCore

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pub", abstract: "Publish a message, or every line of standard input.",
        discussion: """
            Ends when the node that it goes through has what was published. Whether anybody is subscribed is not a question that it asks; whether the \
            rules of that node allow it is, and the exit code is 78 if they do not. Lines end at the newline alone and their bytes stay as they are; a \
            line that is longer than a payload may be is an error, and what came before it is published. When the link to \
            the node is lost, or the node leaves, the exit code is 69: what was under way may be lost, and no more is published. \
            When that node takes nothing for longer than 5 s, the oldest messages that wait go: it says how many at the end, and fails.

            Example:
              llmgine pub documents.x.line 'hello'
              llmgine pub documents.x.line < README.md
            """)

    @Argument(help: "Where to publish.")
    var topic: String

    @Argument(help: "The bytes; without, each line of standard input is a message.")
    var payload: String?

    @Option(name: .customLong("type"), help: ArgumentHelp("The name of the event type that the payload encodes.", valueName: "name"))
    var eventType: String?

    @Option(name: .customLong("header"), help: ArgumentHelp("A header; repeatable.", valueName: "name=value"))
    var headers: [String] = []

    @Option(help: "How urgent it is.")
    private var priority = Urgency.normal

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let topic = try Topic(topic)
        let headers = try parsedHeaders()
        let message = Message(
            topic: topic, payload: ByteBuffer(), eventType: eventType, priority: priority.priority, headers: headers)
        try await Client.with(client) { client in
            try await client.node.checkPublishing(on: topic)
            var publisher = Publisher(client: client, message: message)
            do throws(LLMgineError) {
                try await publishAll(with: &publisher)
            } catch {
                let fault = error
                // What was published before goes out all the same.
                do throws(LLMgineError) { try await publisher.finish() } catch { if error != fault { Terminal.complain(error.detail) } }
                throw fault
            }
            try await publisher.finish()
        }
    }

    /// - Throws: what publishing throws; `limitExceeded` for a line that is too long, `invalidArgument` if the input cannot be read.
    private func publishAll(with publisher: inout Publisher) async throws(LLMgineError) {
        if let payload { return try await publisher.publish(ByteBuffer(string: payload)) }
        var lines = LineSplitter(limit: publisher.client.node.configuration.maximumPayload)
        while let bytes = try StandardInput.next() {
            lines.append(bytes)
            while let line = try lines.next() { try await publisher.publish(line) }
        }
        if let line = lines.last() { try await publisher.publish(line) }
    }

    private func parsedHeaders() throws -> Headers {
        var parsed = Headers()
        for text in headers {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ValidationError("--header needs name=value, not \"\(text)\"")
            }
            parsed.add(String(text[..<equals]), String(text[text.index(after: equals)...]))
        }
        return parsed
    }
}

/// Publishes until the link is lost, and counts.
///
/// It does not wait for another link: nobody knows how much of what was under way has arrived. A node that leaves takes no more from its leaves.
private struct Publisher {
    let client: Client
    /// All but the payload.
    let message: Message
    private var published = 0
    /// Messages that had to go because the node took none for longer than publishers wait.
    private var lost = 0

    init(client: Client, message: Message) {
        self.client = client
        self.message = message
    }

    /// - Throws: what publishing throws; `connectionClosed` once the link is lost.
    mutating func publish(_ payload: ByteBuffer) async throws(LLMgineError) {
        guard !client.node.hasLostPeer else { throw linkLost }
        var message = message
        message.payload = payload
        // A hub takes whatever its leaves publish, so nobody matches only where there is no hub.
        let receipt = try await client.node.bus.publish(message)
        guard receipt.matched > 0 else { throw linkLost }
        published += 1
        lost += receipt.evicted + receipt.rejected
    }

    /// Leaves, as soon as all that was published has gone out.
    /// - Throws: `deadlineExceeded` if that takes too long; `connectionClosed` if the link was lost before; `rejected` if messages had to go.
    func finish() async throws(LLMgineError) {
        try await client.leave()
        guard !client.node.hasLostPeer else { throw linkLost }
        guard lost == 0 else {
            throw LLMgineError(
                .rejected, "\(client.hub) took no messages for too long: \(lost) of \(published) are lost, the oldest of what waited")
        }
    }

    private var linkLost: LLMgineError {
        LLMgineError(
            .connectionClosed, "the link to \(client.hub) is gone; what was under way may be lost (messages published: \(published))")
    }
}

/// The classes of ``Priority`` by name.
private enum Urgency: String, ExpressibleByArgument, CaseIterable {
    case urgent, high, normal, low

    var priority: Priority {
        switch self {
        case .urgent: .urgent
        case .high: .high
        case .normal: .normal
        case .low: .low
        }
    }
}
