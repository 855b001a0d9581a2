import ArgumentParser
import LLMgine

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Create the authority of a new cluster: ca.pem and ca.key.",
        discussion: """
            Keep ca.key where nodes cannot read it: it is needed to issue certificates only.

            Example:
              llmgine certs init --cluster demo --directory certs
            """)

    @Option(help: "The name of the cluster.")
    var cluster: String

    @Option(help: ArgumentHelp("Where the files go.", valueName: "directory"))
    var directory = "certs"

    @Option(help: ArgumentHelp("How long the authority is valid.", valueName: "days"))
    var days = 3650

    @Flag(help: "Replace an authority that is there already. Every certificate it issued becomes useless.")
    var force = false

    func validate() throws {
        guard (1...36_500).contains(days) else { throw ValidationError("--days must be from 1 to 36500") }
    }

    func run() throws {
        try CertificateAuthority(cluster: cluster, lifetime: .seconds(86_400 * days)).save(to: directory, force: force)
        Terminal.say("\(directory)/ca.pem and \(directory)/ca.key: the authority of the cluster \(cluster), valid for \(days) days")
    }
}
