import ArgumentParser

/// `Bench local`: our side of the figures that need one process.
struct LocalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "local", shouldDisplay: false,
        subcommands: [
            LocalBusCommand.self, LocalLatencyCommand.self, LocalMemoryCommand.self, LocalMatchCommand.self, LocalSustainedCommand.self,
            LocalBurstCommand.self, LocalChaosCommand.self,
        ])
}
