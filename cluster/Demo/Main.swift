import ArgumentParser

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The demonstration: an orchestrator, and the application that it runs as two of the three nodes.
@main
struct ClusterDemo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ClusterDemo", abstract: "Three nodes do a whole job on this machine.",
        subcommands: [
            RunCommand.self, PublisherCommand.self, CounterCommand.self, ChaosCommand.self, ChaosNodeCommand.self, JournalCommand.self,
        ], defaultSubcommand: RunCommand.self)

    static func main() async {
        _ = signal(SIGPIPE, SIG_IGN)
        await main(nil)
    }
}
