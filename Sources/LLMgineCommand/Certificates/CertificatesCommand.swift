import ArgumentParser

struct CertificatesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs", abstract: "Make the certificates of a cluster.",
        discussion: """
            Nodes trust each other through one authority per cluster, and know each other by the name in their certificates.

            Example:
              llmgine certs init --cluster demo
              llmgine certs issue a
              llmgine node --set certificates.directory=certs/a
            """,
        subcommands: [InitCommand.self, IssueCommand.self])
}
