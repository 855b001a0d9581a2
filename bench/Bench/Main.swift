import ArgumentParser

/// Measures llmgine and what it is compared with. `bench/run` is the way to start it.
@main struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Bench", abstract: "Measures llmgine beside its peers.",
        subcommands: [
            FigureCommand.self, ListCommand.self, PeerCommand.self, LocalCommand.self, NodeSinkCommand.self, NodeSourceCommand.self,
            NodeResponderCommand.self, NodeCallerCommand.self, NodeFirstCommand.self, NodeBeaconCommand.self, NodeJoinerCommand.self,
            NodeRingCommand.self, NodeUrgentSinkCommand.self, NodeUrgentSourceCommand.self, SimulateCommand.self, GrowthCommand.self,
        ])
}
