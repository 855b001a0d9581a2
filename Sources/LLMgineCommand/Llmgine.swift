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
}
