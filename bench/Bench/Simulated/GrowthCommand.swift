import ArgumentParser
import LLMgineCore
import LLMgineTestKit

/// `Bench simulate-growth`: what membership and interest cost one node among so many, with nothing published.
struct GrowthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "simulate-growth", shouldDisplay: false)

    @Option var nodes: Int
    @Option(help: "Subscriptions of each node.") var subscriptions = 200
    @Option(help: "Subscriptions that each node ends, and makes anew, in a second.") var churn = 5
    @Option(help: "Seconds of the simulated clock that are measured.") var seconds = 20
    @Flag(help: "All links, not only those of one node.") var mesh = false

    func run() async throws {
        var settings = SimulationSettings()
        settings.isStar = !mesh
        settings.seeds = 1
        settings.isAudited = false
        settings.splitsReads = false
        settings.delay = 100...500
        settings.gossipMilliseconds = 5000
        settings.socketBytes = 1 << 20
        settings.queueMessages = 8192
        let simulation = Simulation(seed: 1, settings: settings)
        simulation.stopwatch = { UInt64(Resources.processorSeconds() * 1e9) }
        for host in 0..<nodes {
            let node = simulation.start(NodeID(stringLiteral: "node-\(host)"))
            for number in 0..<subscriptions { subscribe(node, number) }
        }
        let target = simulation.nodes[0]
        // Joining: until the first host is linked with all and knows what they want.
        var joined = 0.0
        while target.interestEntries < subscriptions * (nodes - 1) {
            simulation.run(for: .milliseconds(100))
            joined += 0.1
            guard joined < 120 else { throw BenchError("\(nodes) nodes did not find together in two minutes") }
        }
        let join = target.traffic
        let entries = target.interestEntries
        let memory = try Resources.residentBytes()
        simulation.run(for: .seconds(6))
        let steady = measure(simulation) {}
        let churning = measure(simulation) {
            for node in simulation.nodes {
                for number in 0..<churn {
                    guard let oldest = node.subscriptions.first else { continue }
                    node.unsubscribe(oldest)
                    subscribe(node, number)
                }
            }
        }
        var fields = ["entries": "\(entries)", "links": "\(nodes - 1)", "join_bytes": "\(join.readBytes)", "rss": "\(memory)", "lost": "0"]
        for (name, value) in steady { fields["steady_\(name)"] = "\(value)" }
        for (name, value) in churning { fields["churn_\(name)"] = "\(value)" }
        Output.say(Line("result", fields))
    }

    private func subscribe(_ node: SimulatedNode, _ number: Int) {
        let filter = TopicFilter(stringLiteral: "tenant\(number % 50).region.orders\(number).*")
        node.subscribe([filter], capacity: 1000, whenFull: .dropOldest, pace: .fast)
    }

    /// What a second of the simulated clock costs the first host.
    private func measure(_ simulation: Simulation, eachSecond act: () -> Void) -> [(String, Double)] {
        let node = simulation.nodes[0]
        let (before, spent) = (node.traffic, simulation.spent)
        for _ in 0..<seconds {
            act()
            simulation.run(for: .seconds(1))
        }
        let after = node.traffic
        func each(_ count: Int) -> Double { Double(count) / Double(seconds) }
        return [
            ("written", each(after.writtenBytes - before.writtenBytes)), ("read", each(after.readBytes - before.readBytes)),
            ("writes", each(after.writes - before.writes)), ("reads", each(after.reads - before.reads)),
            ("cpu", Double(simulation.spent - spent) / 1e9 / Double(seconds)),
        ]
    }
}
