import ArgumentParser
import LLMgine
import NIOCore

import struct FoundationEssentials.Data
import class FoundationEssentials.JSONDecoder

struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "Print the members of the cluster, as one node sees them.",
        discussion: """
            Example:
              llmgine nodes --connect 10.0.0.1:7400
              llmgine nodes --json
            """)

    @Flag(help: "Print the status of the node as one JSON object.")
    var json = false

    @OptionGroup var client: ClientOptions

    func run() async throws {
        try await Client.with(client) { client in
            let question = Message(topic: try Node.statusTopic(client.hub), payload: ByteBuffer())
            let reply = try await client.node.bus.request(question, options: RequestOptions(deadline: .seconds(5))).first()
            if json {
                Terminal.say(String(decoding: reply.payload.readableBytesView, as: UTF8.self))
                return
            }
            let status: NodeStatus
            do {
                status = try JSONDecoder().decode(NodeStatus.self, from: Data(reply.payload.readableBytesView))
            } catch {
                throw LLMgineError(.badPayload, "the status of \(client.hub) is of another version", cause: error)
            }
            Terminal.say(table(status))
            for refused in status.refused ?? [] {
                Terminal.say("refused: \(refused.peer) may not subscribe to \(refused.filters.joined(separator: " "))")
            }
        }
    }

    private func table(_ status: NodeStatus) -> String {
        var table = Table("NODE", "STATE", "ADDRESS", "ROLES", "RTT", "INTERESTS")
        for member in status.members {
            table.add(
                member.node.name, member.state, member.address.isEmpty ? "-" : member.address,
                member.roles.isEmpty ? "-" : member.roles.joined(separator: ","),
                member.roundTripMicroseconds.map { "\($0) us" } ?? "-", member.state == "self" ? "-" : "\(member.interests)")
        }
        return table.text
    }
}
