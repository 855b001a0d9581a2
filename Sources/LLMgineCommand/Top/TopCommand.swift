import ArgumentParser
import LLMgine
import UnixSignals

import class FoundationEssentials.JSONEncoder

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Show what the cluster does, and who is slow, as it happens.",
        discussion: """
            Asks every node that can be reached for its status, once an interval, until SIGINT or SIGTERM. On a terminal it keeps one screen up to date; \
            into a pipe it prints one table an interval. Rates are those of the last interval.

            Example:
              llmgine top --connect 10.0.0.1:7400
              llmgine top --interval 5s --sort queued
              llmgine top --once --json
            """)

    @Option(help: ArgumentHelp("The time between two looks, at least 100ms.", valueName: "time"))
    var interval = Span(.seconds(1))

    @Option(help: "What to order subscriptions by: rate, queued or lost.")
    var sort = TopReport.Order.rate

    @Flag(help: "Look twice, an interval apart, print that, and end.")
    var once = false

    @Flag(help: "Print one JSON object a look.")
    var json = false

    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard interval.duration >= .milliseconds(100) else { throw ValidationError("--interval must be at least 100ms") }
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await Client.with(client) { client in
            let screen = Screen(isLive: !once && !json && Terminal.isInteractive)
            defer { screen.close() }
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { for await _ in signals { return } }
                tasks.addTask { try await watch(client, on: screen) }
                defer { tasks.cancelAll() }
                do { try await tasks.next() } catch is CancellationError {}
            }
        }
    }

    private func watch(_ client: Client, on screen: Screen) async throws {
        var earlier: TopReport.Look?
        var next = ContinuousClock.now
        while true {
            let look = try await look(through: client)
            // A single look has no rates yet: on a terminal it is shown all the same, so that there is something at once.
            if earlier != nil || screen.isLive {
                let report = TopReport(look, since: earlier, order: sort)
                guard try show(report, on: screen), !(once && earlier != nil) else { return }
            }
            earlier = look
            next = max(next + interval.duration, .now)
            try await Task.sleep(until: next, tolerance: .zero)
        }
    }

    /// - Returns: false if nobody reads any more.
    private func show(_ report: TopReport, on screen: Screen) throws -> Bool {
        guard json else { return screen.show(report.lines(for: screen.size)) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Terminal.say(String(decoding: try encoder.encode(report), as: UTF8.self))
    }

    /// Asks the hub, and through it every node that the hub is linked to, all at once. One that does not answer in time is shown without figures.
    private func look(through client: Client) async throws -> TopReport.Look {
        let hub = try await client.status(of: client.hub)
        let others = hub.members.filter { ["linked", "suspect", "leaving"].contains($0.state) }.map(\.node)
        let statuses = await withTaskGroup(of: NodeStatus?.self) { tasks in
            for node in others {
                tasks.addTask { try? await client.status(of: node, within: .seconds(2)) }
            }
            return await tasks.reduce(into: [hub]) { if let status = $1 { $0.append(status) } }
        }
        return TopReport.Look(at: .now, statuses: statuses.sorted { $0.node < $1.node }, members: hub.members)
    }
}
