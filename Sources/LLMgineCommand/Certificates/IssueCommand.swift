import ArgumentParser
import LLMgine

import struct FoundationEssentials.Date

struct IssueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue", abstract: "Issue the certificate of one node: ca.pem, node.pem and node.key.",
        discussion: """
            Example:
              llmgine certs issue a --host node-a.example --host 10.0.0.1
            """)

    @Argument(help: "The name of the node.")
    var node: String

    @Option(help: ArgumentHelp("Where the authority's ca.pem and ca.key are.", valueName: "directory"))
    var authority = "certs"

    @Option(
        help: ArgumentHelp("Where the files go; by default a directory named for the node beside the authority.", valueName: "directory"))
    var directory: String?

    @Option(help: ArgumentHelp("A host name or IP address of the node, for other software; repeatable.", valueName: "host"))
    var host: [String] = []

    @Option(help: ArgumentHelp("A role that topic permissions may name; repeatable.", valueName: "role"))
    var role: [String] = []

    @Option(help: ArgumentHelp("How long the certificate is valid, at most as long as the authority is.", valueName: "days"))
    var days = 365

    @Flag(help: "Replace files that are there already.")
    var force = false

    func validate() throws {
        guard (1...36_500).contains(days) else { throw ValidationError("--days must be from 1 to 36500") }
    }

    func run() throws {
        let authority = try CertificateAuthority(loading: self.authority)
        let directory = directory ?? "\(self.authority)/\(node)"
        let issued = try authority.issue(try NodeID(node), hosts: host, roles: role, lifetime: .seconds(86_400 * days))
        try issued.save(to: directory, force: force)
        let reason = issued.expires < authority.expires ? "" : ", when its authority ends"
        let end = "valid until \(issued.expires.formatted(.iso8601))\(reason)"
        Terminal.say("\(directory): the certificate of llmgine://\(authority.cluster)/\(node), \(end)")
    }
}
