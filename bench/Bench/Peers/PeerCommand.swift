import ArgumentParser

/// `Bench peer`: the programs that we compare ourselves with, as far as they are written in Swift.
struct PeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peer", shouldDisplay: false,
        subcommands: [
            LocalPeerCommand.self, LocalLatencyPeerCommand.self, TLSSinkCommand.self, TLSSourceCommand.self, TLSEchoCommand.self,
            TLSCallerCommand.self,
        ])
}
