import ArgumentParser
import LLMgine
import NIOCore

struct RequestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "request", abstract: "Send a request to whoever answers the topic, and print the replies, one a line.",
        discussion: """
            Example:
              llmgine request llmgine.status.a
              llmgine request orders.price '{"item":7}' --timeout 2s
            """)

    @Argument(help: "What is asked for.")
    var topic: String

    @Argument(help: "The bytes of the request.")
    var payload = ""

    @Option(help: ArgumentHelp("How long the whole exchange may take.", valueName: "time"))
    var timeout = Span(.seconds(30))

    @Flag(help: "Print one JSON object a reply.")
    var json = false

    @OptionGroup var client: ClientOptions

    func validate() throws { try timeout.check("--timeout") }

    func run() async throws {
        let message = Message(topic: try Topic(topic), payload: ByteBuffer(string: payload))
        try await Client.with(client) { client in
            for try await reply in try await client.node.bus.request(message, options: RequestOptions(deadline: timeout.duration)) {
                let received = ReceivedMessage(reply)
                guard Terminal.say(json ? received.json : received.text) else { return }
            }
        }
    }
}
