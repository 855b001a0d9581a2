import ArgumentParser
import LLMgine

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version.", discussion: "Example:\n  llmgine version")

    func run() { Terminal.say("llmgine \(LLMgineVersion.text)") }
}
