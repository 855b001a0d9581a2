import ArgumentParser
import LLMgine

struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Run a node until it is told to stop.",
        discussion: """
            Settings come from the file, from the environment (LLMGINE_NODE_LISTEN for node.listen) and from flags; the later wins. SIGTERM and \
            SIGINT stop the node cleanly: it takes no new work, finishes what it has and says goodbye.

            Example:
              llmgine node --config cluster/nodes/a.yaml
              llmgine node --config node.yaml --set node.listen=127.0.0.1:0 --check
            """)

    @Option(name: .shortAndLong, help: ArgumentHelp("A YAML file with settings.", valueName: "file"))
    var config: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("A setting, before all others; repeatable. Lists are joined by commas.", valueName: "key=value"))
    var settings: [String] = []

    @Flag(help: "Check settings and certificates, print every setting with its origin and meaning, and end.")
    var check = false

    @OptionGroup var end: EndOptions

    func run() async throws {
        let loaded = try NodeSettings.load(file: config, flags: try flags())
        // First, because it is what lists the keys for somebody whose settings are not complete yet.
        if check { Terminal.say(loaded.explanation) }
        let identity = try loaded.settings.verify()
        for remark in loaded.remarks + identity.remarks { Terminal.complain(remark) }
        if check {
            Terminal.say("# \(identity.identity), certificate valid until \(identity.expires)")
            for line in loaded.settings.permissionsExplained(for: identity) { Terminal.say("# \(line)") }
            return
        }
        let application = try await ApplicationBootstrap(settings: loaded.settings)
        if end.untilInputEnds {
            try await application.run { await StandardInput.ended() }
        } else {
            try await application.run()
        }
    }

    private func flags() throws -> [(key: String, value: String)] {
        try settings.map { text in
            guard let equals = text.firstIndex(of: "=") else { throw ValidationError("--set needs key=value, not \"\(text)\"") }
            return (String(text[..<equals]), String(text[text.index(after: equals)...]))
        }
    }
}
