import ArgumentParser
import LLMgine

import class FoundationEssentials.ProcessInfo

/// What every command needs that joins a cluster for a moment: where a node is, and who we are.
struct ClientOptions: ParsableArguments {
    @Option(
        name: .customLong("connect"),
        help: ArgumentHelp(
            "A node to go through; repeatable, the first that answers serves. Else $LLMGINE_CONNECT, else 127.0.0.1:7400.",
            valueName: "host:port"))
    var seeds: [String] = []

    @Option(
        name: .customLong("certs"),
        help: ArgumentHelp(
            "A directory with ca.pem, node.pem and node.key, as \"certs issue\" makes it. Else $LLMGINE_CERTS, else certs/cli.",
            valueName: "directory"))
    var directory: String?

    @Option(name: .customLong("connect-timeout"), help: ArgumentHelp("How long to wait for a node.", valueName: "time"))
    var patience = Span(.seconds(5))

    @Flag(name: .shortAndLong, help: "Log what the connection does.")
    var verbose = false

    func validate() throws { try patience.check("--connect-timeout") }

    /// Where to go.
    var addresses: [String] {
        if !seeds.isEmpty { return seeds }
        let variable = ProcessInfo.processInfo.environment["LLMGINE_CONNECT"] ?? ""
        return variable.isEmpty ? ["127.0.0.1:7400"] : variable.split(separator: ",").map(String.init)
    }

    /// Where the certificates are.
    var certificates: String {
        if let directory { return directory }
        let variable = ProcessInfo.processInfo.environment["LLMGINE_CERTS"] ?? ""
        return variable.isEmpty ? "certs/cli" : variable
    }
}

/// A time on the command line: `500ms`, `10s`, `2m`.
struct Span: ExpressibleByArgument {
    let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    init?(argument: String) {
        guard let duration = Quantity.duration(argument) else { return nil }
        self.init(duration)
    }

    var defaultValueDescription: String { Quantity.duration(duration) }

    /// - Throws: a validation error that names the option, unless it is a time to wait for something: 1 ms to a day.
    func check(_ option: String) throws {
        guard (Duration.milliseconds(1)...Duration.seconds(86_400)).contains(duration) else {
            throw ValidationError("\(option) must be from 1ms to 24h")
        }
    }
}
