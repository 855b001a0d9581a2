import ArgumentParser
import LLMgine

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The command line: parses, runs, and turns what went wrong into a line on standard error and an exit code.
@main
struct Llmgine: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "llmgine",
        abstract: "A distributed event bus for LLM applications.",
        discussion: """
            Exit codes: 0 done, 1 failed, 64 wrong usage, 69 no node or worker could be reached, 75 a deadline passed, 78 wrong configuration or \
            certificates.
            """,
        subcommands: [
            NodeCommand.self, CertificatesCommand.self, PublishCommand.self, SubscribeCommand.self, RequestCommand.self,
            GenerateCommand.self,
            NodesCommand.self, TopCommand.self, DeadLettersCommand.self, JournalCommand.self, OTLPSinkCommand.self, VersionCommand.self,
        ])

    static func main() async {
        // Who stops reading our output ends a write with an error, not the process with a signal.
        _ = signal(SIGPIPE, SIG_IGN)
        do {
            try checkArguments()
            var command = try parseAsRoot()
            if var waiting = command as? any AsyncParsableCommand {
                try await waiting.run()
            } else {
                try command.run()
            }
        } catch let error as LLMgineError {
            Terminal.complain(error.detail)
            exit(withError: ExitCode(ExitStatus(error.code).rawValue))
        } catch let error as LLMError {
            Terminal.complain(error.message)
            exit(withError: ExitCode(ExitStatus(error.code).rawValue))
        } catch {
            exit(withError: error)
        }
    }

    /// An argument that is not UTF-8 becomes a text with other bytes, which must not be published or taken for a path.
    /// - Throws: `invalidArgument` with the number of the argument.
    private static func checkArguments() throws(LLMgineError) {
        for number in 1..<max(1, Int(CommandLine.argc)) {
            // There are as many texts as the count says, each with an end, and they stay for the life of the process.
            guard let text = unsafe CommandLine.unsafeArgv[number] else { return }
            guard unsafe String(validatingCString: text) != nil else {
                throw LLMgineError(.invalidArgument, "argument \(number) is not UTF-8: give bytes that are no text on standard input")
            }
        }
    }
}
