import ArgumentParser
import LLMgine

struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "Print the members of the cluster, as one node sees them.",
        discussion: """
            STATE is linked, suspect (linked, but nothing has come from it for 1.5 s), leaving, left, unreachable, or leaf for a client of the node.

            Example:
              llmgine nodes --connect 10.0.0.1:7400
              llmgine nodes --json
            """)

    @Flag(help: "Print the status of the node as one JSON object.")
    var json = false

    @OptionGroup var client: ClientOptions

    func run() async throws {
        try await Client.with(client) { client in
            if json {
                Terminal.say(try await client.statusText(of: client.hub))
                return
            }
            let status = try await client.status(of: client.hub)
            Terminal.say(table(status))
            Terminal.say(links(status))
            for refused in status.refused ?? [] {
                let more = refused.moreFilters.map { " and \($0) more" } ?? ""
                Terminal.say("refused: \(refused.peer) may not subscribe to \(refused.filters.joined(separator: " "))\(more)")
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

    /// One line a link, then one for each subscription that keeps messages waiting.
    private func links(_ status: NodeStatus) -> String {
        var table = Table("LINK", "FLOWS", "CREDIT", "QUEUED", "GRANTED", "ARRIVED", "BLOCKED")
        for link in status.links {
            table.add(
                link.peer.name, "\(link.flows)", NodesCommand.room(link.creditMessages, link.creditBytes),
                NodesCommand.room(UInt64(link.queuedMessages), UInt64(link.queuedBytes)),
                NodesCommand.room(link.grantedMessages, link.grantedBytes), NodesCommand.room(link.arrivedMessages, link.arrivedBytes),
                "\(link.blocked.count)")
        }
        let slow = status.links.flatMap { link in
            link.blocked.map { blocked in
                "blocked: \(link.peer)/\(blocked.subscription) \(blocked.priority): \(blocked.messages) messages wait"
                    + (blocked.whenFull.map { " (\($0))" } ?? "") + (blocked.isDemoted ? ", publishers do not" : "")
            }
        }
        let compressed = status.links.compactMap { link in
            link.compression.map { bytes in
                "compressed: to \(link.peer) \(NodesCommand.size(bytes.sentBytes)) as \(NodesCommand.size(bytes.sentWireBytes)), "
                    + "from \(link.peer) \(NodesCommand.size(bytes.receivedBytes)) as \(NodesCommand.size(bytes.receivedWireBytes))"
            }
        }
        let disk = status.links.filter { $0.spilledMessages ?? 0 > 0 }.map {
            "on the disk: \($0.spilledMessages ?? 0) messages for \($0.peer)"
        }
        let memory = status.memory
        let line =
            "memory for peers: \(NodesCommand.size(memory.exclusive)) exclusive, \(NodesCommand.size(memory.floating)) floating, "
            + "\(NodesCommand.size(memory.windows ?? 0)) of that unacknowledged, of "
            + "\(NodesCommand.size(memory.budget)), \(memory.waiting) waiting"
        let journal = status.journal.map {
            "journal: \($0.open) events open, \($0.waiting) waiting, \(NodesCommand.size(UInt64($0.bytes))) in \($0.segments) files, \($0.failed) failed"
        }
        let rest = [NodesCommand.omitted(from: status), journal, line].compactMap(\.self)
        return ([table.text] + slow + compressed + disk + rest).joined(separator: "\n")
    }

    /// What the node has not told because there is too much of it.
    private static func omitted(from status: NodeStatus) -> String? {
        status.omitted.map { omitted in
            "not shown: \(omitted.subscriptions) of \(status.totals?.subscriptions ?? 0) subscriptions, \(omitted.blocked) blocked, "
                + "\(omitted.refused) refused, \(omitted.members ?? 0) members, \(omitted.links ?? 0) links"
        }
    }

    private static func room(_ messages: UInt64, _ bytes: UInt64) -> String { "\(messages) / \(size(bytes))" }

    private static func size(_ bytes: UInt64) -> String {
        bytes < 10 << 10 ? "\(bytes) B" : bytes < 10 << 20 ? "\(bytes >> 10) KiB" : "\(bytes >> 20) MiB"
    }
}
