import ArgumentParser
import LLMgine

struct GenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Have a worker of the cluster answer a prompt, and print the answer as it comes.",
        discussion: """
            Example:
              llmgine generate 'Hello, my friend' --model embedded/pirate
              echo 'Hello' | llmgine generate --json
            """)

    @Argument(help: "What is asked; without, all of standard input.")
    var prompt: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("The model.", valueName: "provider/model"))
    var model = "embedded/pirate"

    @Option(help: ArgumentHelp("What the model is told before the prompt.", valueName: "text"))
    var system: String?

    @Option(help: ArgumentHelp("The most tokens that the answer may have.", valueName: "number"))
    var maxTokens: Int?

    @Option(help: ArgumentHelp("How long the call may take.", valueName: "time"))
    var timeout = Span(.seconds(120))

    @Flag(help: "Print the whole response as one JSON object instead.")
    var json = false

    @OptionGroup var client: ClientOptions

    func validate() throws {
        if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens must be at least 1") }
        try timeout.check("--timeout")
    }

    func run() async throws {
        var request = LLMRequest(model: model, messages: (system.map { [.system($0)] } ?? []) + [.user(prompt ?? input())])
        request.maxOutputTokens = maxTokens
        request.execution.timeout = timeout.duration
        try await Client.with(client) { [request] client in
            if json {
                Terminal.say(try await client.node.llm.generate(request).json.text)
                return
            }
            for try await event in client.node.llm.stream(request) {
                if case .textDelta(let text) = event.kind, !Terminal.put(text) { return }
            }
            Terminal.say("")
        }
    }

    private func input() -> String {
        var text = ""
        while let line = readLine(strippingNewline: false) { text += line }
        return text
    }
}
