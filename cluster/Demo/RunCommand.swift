import ArgumentParser
import Foundation
import LLMgine
import LLMgineTestKit
import UnixSignals

/// Starts the processes, tells them what to do, kills one of them, and says what happened.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run the demonstration.",
        discussion: """
            Example:
              cluster/demo
              cluster/demo README.md --json
            """)

    @Argument(help: "The text to publish; by default the GPL-3 that Debian ships, else README.md.")
    var file = Document.defaultPath

    @Flag(help: "Print the result as one JSON object on the last line.")
    var json = false

    @Option(help: "The model that the chosen lines are sent to.")
    var model = "embedded/pirate"

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let cast = Cast()
        let job = Task { try await perform(with: cast) }
        let watch = Task {
            for await signal in signals {
                progress("\(signal): stopping")
                job.cancel()
                await cast.stopAll()
                Foundation.exit(128 + signal.rawValue)
            }
        }
        let outcome: Outcome
        do {
            outcome = try await job.value
        } catch {
            if job.isCancelled { await watch.value }
            await cast.stopAll()
            progress("\((error as? LLMgineError)?.detail ?? "\(error)")")
            throw ExitCode.failure
        }
        watch.cancel()
        print(outcome.table)
        for complaint in outcome.complaints { print("! \(complaint)") }
        if json { print(outcome.json) }
        guard outcome.complaints.isEmpty else { throw ExitCode.failure }
        outcome.stage.clear()
    }

    private func perform(with cast: Cast) async throws -> Outcome {
        let document = try Document(path: file)
        guard !document.lines.isEmpty else { throw LLMgineError(.invalidArgument, "\(file) is empty") }
        let stage = try await Stage.set()
        progress("certificates, settings and logs are in \(stage.directory)/")
        let sink = try await cast.startSink(stage)
        let a = try await cast.startNode(
            "a", stage, .demo(["publisher", "--config", stage.settings("a"), "--file", file, "--model", model]))
        let b = try await cast.startNode("b", stage, .demo(["counter", "--config", stage.settings("b")]))
        var c = try await cast.startWorker(stage)
        progress("three nodes are linked: a on \(stage.ports[0]), b on \(stage.ports[1]), c on \(stage.ports[2])")

        try a.write("go\n")
        progress(
            "a publishes \(document.lines.count) lines of \(file) on \(document.topic), and has \(document.worthACall.count) of them turned into pirate speech"
        )
        try await a.report { if case .halfWay = $0 { () } else { nil } }
        c.signal(SIGKILL)
        let killed = await c.exit()
        progress("half-way: c is killed (\(killed)); b's slot takes over")
        c = try await cast.startWorker(stage)
        progress("c is back")
        let published = try await a.report { if case .published(let report) = $0 { report } else { nil } }
        try b.write("expect \(published.lines)\n")
        let counted = try await b.report { if case .counted(let report) = $0 { report } else { nil } }

        let endings = await cast.stopNodes([b, c, a])
        let summary = try await cast.stopSink(sink)
        return Outcome(stage: stage, published: published, counted: counted, summary: summary, killed: killed, endings: endings)
    }
}

/// Says on standard error what is going on.
func progress(_ text: String) { FileHandle.standardError.write(Data("demo: \(text)\n".utf8)) }
