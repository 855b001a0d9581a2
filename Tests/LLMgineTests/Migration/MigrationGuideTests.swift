import Foundation
import Testing

@Suite struct `The migration guide` {
    private let guide: String
    private let examples: String

    init() throws {
        let here = URL(filePath: #filePath).deletingLastPathComponent()
        let root = here.appending(path: "../../..").standardized
        guide = try String(contentsOf: root.appending(path: "Sources/LLMgine/LLMgine.docc/MigrationGuide.md"), encoding: .utf8)
        examples = try String(contentsOf: here.appending(path: "MigrationExamples.swift"), encoding: .utf8)
    }

    /// The lines without what indents them, since the guide shows them without what is around them.
    private func flat(_ text: some StringProtocol) -> String {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private var snippets: [String] {
        guide.components(separatedBy: "```swift\n").dropFirst().map { $0.components(separatedBy: "```").first ?? "" }
    }

    @Test func `shows code that is compiled and run as it stands`() {
        let examples = flat(examples)
        #expect(snippets.count >= 10)
        for snippet in snippets { #expect(examples.contains(flat(snippet)), "not in MigrationExamples.swift:\n\(snippet)") }
    }

    @Test(arguments: [
        "publish", "register_event_handler", "execute", "register_command_handler", "start", "stop", "MessageBus", "ResilientMessageBus",
        "CommandResult", "register_handler", "handler.handle", "get_metrics", "bus.session", "create_session", "execute_with_session",
        "ScheduledEvent", "execute_approval_command", "ApplicationBootstrap", "UnifiedLLMClient", "generate_stream",
    ])
    func `has a row for every call that programs make`(call: String) {
        let rows = guide.split(separator: "\n").filter { $0.hasPrefix("| `") }
        #expect(rows.contains { $0.split(separator: "|").first?.contains(call) ?? false }, "no row for \(call)")
    }
}
