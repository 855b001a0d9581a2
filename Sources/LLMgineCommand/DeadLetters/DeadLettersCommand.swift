import ArgumentParser
import LLMgine
import NIOCore

import struct FoundationEssentials.Data
import class FoundationEssentials.JSONDecoder
import class FoundationEssentials.JSONEncoder

struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq",
        abstract: "Look at the dead letters of a node: what its handlers could not handle. Try them again, or remove them.",
        discussion: """
            Example:
              llmgine dlq list --connect 10.0.0.1:7400
              llmgine dlq show 17
              llmgine dlq retry 17 --node b
              llmgine dlq remove --all
            """,
        subcommands: [List.self, Show.self, Retry.self, Remove.self])
}

/// Whom to ask, and how to say what the answer is.
struct DeadLetterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The node whose dead letters are meant. Else the one that is connected to.", valueName: "name"))
    var node: String?

    @Flag(help: "Print the answer of the node as one JSON object.")
    var json = false

    @OptionGroup var client: ClientOptions

    /// Asks, and prints the answer as JSON if that is wanted.
    /// - Returns: the answer, which nobody has to put into words after ``json``.
    func ask(_ question: DeadLetterQuestion) async throws -> DeadLetterAnswer {
        let asked = try node.map { name throws(LLMgineError) in try NodeID(name) }
        return try await Client.with(client) { client in
            let topic = try Node.deadLetterTopic(asked ?? client.hub)
            let payload = ByteBuffer(bytes: try JSONEncoder().encode(question))
            let options = RequestOptions(deadline: .seconds(10))
            let reply = try await client.node.bus.request(Message(topic: topic, payload: payload), options: options).first()
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            let answer: DeadLetterAnswer
            do {
                answer = try decoder.decode(DeadLetterAnswer.self, from: Data(reply.payload.readableBytesView))
            } catch {
                throw LLMgineError(.badPayload, "the answer of \(asked ?? client.hub) is of another version", cause: error)
            }
            if json { Terminal.say(String(decoding: reply.payload.readableBytesView, as: UTF8.self)) }
            return answer
        }
    }
}

/// One letter, or all of them.
struct DeadLetterChoice: ParsableArguments {
    @Argument(help: "The number of the letter.")
    var id: UInt64?

    @Flag(help: "All of them.")
    var all = false

    func validate() throws {
        guard (id == nil) == all else { throw ValidationError("give the number of a letter, or --all") }
    }
}

extension DeadLettersCommand {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the dead letters, oldest first.", discussion: "Example:\n  llmgine dlq list --after 100 --limit 50")

        @Option(help: "Begin after the letter of this number.")
        var after: UInt64 = 0

        @Option(help: "How many at most, up to 1000.")
        var limit = 100

        @OptionGroup var options: DeadLetterOptions

        func validate() throws {
            guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000") }
        }

        func run() async throws {
            let answer = try await options.ask(DeadLetterQuestion(.list, after: after, limit: limit))
            if options.json { return }
            var table = Table("ID", "LAST ATTEMPT", "TOPIC", "TYPE", "SUBSCRIPTION", "ATTEMPTS", "ERROR")
            for letter in answer.letters {
                table.add(
                    "\(letter.id)", letter.lastAttempt.formatted(.iso8601), letter.topic, letter.eventType ?? "-", letter.subscription,
                    "\(letter.attempts)", letter.error)
            }
            Terminal.say(table.text)
            if answer.letters.count < answer.count { Terminal.complain("\(answer.letters.count) of \(answer.count) dead letters") }
            if answer.evicted > 0 { Terminal.complain("\(answer.evicted) older ones had to make room") }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print one dead letter with its payload.", discussion: "Example:\n  llmgine dlq show 17")

        @Argument(help: "The number of the letter.")
        var id: UInt64

        @OptionGroup var options: DeadLetterOptions

        func run() async throws {
            guard let letter = try await options.ask(DeadLetterQuestion(.show, id: id)).letters.first, !options.json else { return }
            var table = Table("id", "\(letter.id)")
            table.add(letter.command == nil ? "event" : "command", letter.command ?? letter.message)
            table.add("topic", letter.topic)
            table.add("type", letter.eventType ?? "-")
            table.add("session", letter.session)
            table.add("priority", letter.priority)
            table.add("subscription", letter.subscription)
            table.add("error", "\(letter.error): \(letter.detail.printable)")
            table.add("attempts", "\(letter.attempts)")
            table.add("first", letter.firstAttempt.formatted(.iso8601))
            table.add("last", letter.lastAttempt.formatted(.iso8601))
            for pair in letter.headers ?? [] where pair.count == 2 { table.add("header", "\(pair[0].printable): \(pair[1].printable)") }
            table.add("payload", "\(letter.payloadBytes) bytes")
            Terminal.say(table.text)
            Terminal.say(letter.payload ?? letter.payloadBase64?.base64EncodedString() ?? "")
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give dead letters back to the handlers that failed.",
            discussion:
                "A letter stays if its handler is gone or has no room.\n\nExample:\n  llmgine dlq retry 17\n  llmgine dlq retry --all")

        @OptionGroup var choice: DeadLetterChoice
        @OptionGroup var options: DeadLetterOptions

        func run() async throws {
            let answer = try await options.ask(DeadLetterQuestion(.retry, id: choice.id))
            guard choice.id == nil || answer.done == 1 else {
                throw LLMgineError(.rejected, "it stays: its handler is gone or has no room, or the event did not encode")
            }
            if !options.json { Terminal.say("\(answer.done) tried again, \(answer.count) left") }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Throw dead letters away.", discussion: "Example:\n  llmgine dlq remove 17\n  llmgine dlq remove --all")

        @OptionGroup var choice: DeadLetterChoice
        @OptionGroup var options: DeadLetterOptions

        func run() async throws {
            let answer = try await options.ask(DeadLetterQuestion(.remove, id: choice.id))
            if !options.json { Terminal.say("\(answer.done) removed, \(answer.count) left") }
        }
    }
}
