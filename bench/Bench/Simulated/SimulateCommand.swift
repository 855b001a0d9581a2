import ArgumentParser
import LLMgineTestKit

/// `Bench simulate`: many runs of simulated nodes, each from its seed, every promise checked after each.
struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Run whole nodes on a simulated network under trouble, and check what they promise.",
        discussion: """
            Each run starts nodes and perhaps a leaf, lets them publish, subscribe in every way there is and ask while something goes wrong, \
            waits until all is quiet, has one event published that all must get, and checks the guarantees. A failure prints its seed; the same seed and options take the same course.
            """)

    @Option(help: "How many runs.") var seeds = 1000
    @Option(help: "Nodes in each; by default 2 to 4, as the seed says.") var nodes: Int?
    @Option(help: "The first seed; the others follow.") var seed: UInt64 = 1
    @Option(help: "Random acts in each run; by default 5 to 11, as the seed says.") var steps: Int?
    @Option(help: "What goes wrong: \(SimulatedTrouble.allCases.map(\.rawValue).joined(separator: ", ")). By default in turn.")
    var trouble: String?
    @Option(
        help: "A rule that the nodes break, to see whether it is noticed: \(BrokenRule.allCases.map(\.rawValue).joined(separator: ", ")).")
    var broken: String?
    @Flag(help: "Go on after a failure.") var all = false

    func validate() throws {
        guard (1...100_000_000).contains(seeds) else { throw ValidationError("--seeds is 1 or more, not \(seeds)") }
        if let nodes, !(2...200).contains(nodes) { throw ValidationError("--nodes is 2 to 200, not \(nodes)") }
        if let steps, !(1...1_000_000).contains(steps) { throw ValidationError("--steps is 1 or more, not \(steps)") }
        if let trouble, SimulatedTrouble(rawValue: trouble) == nil { throw ValidationError("there is no trouble called \"\(trouble)\"") }
        if let broken, BrokenRule(rawValue: broken) == nil { throw ValidationError("there is no rule called \"\(broken)\"") }
    }

    func run() async throws {
        let start = monotonic()
        var totals = Totals()
        var failures: [(seed: UInt64, fault: String)] = []
        for number in 0..<UInt64(seeds) {
            let simulation = Simulation.run(
                seed: seed &+ number, nodes: nodes, steps: steps, trouble: trouble.flatMap(SimulatedTrouble.init),
                broken: broken.flatMap(BrokenRule.init))
            totals.add(simulation)
            guard !simulation.faults.isEmpty else { continue }
            failures.append((seed &+ number, simulation.faults[0]))
            Output.tell("seed \(seed &+ number):")
            for fault in simulation.faults { Output.tell("    \(fault)") }
            if !all { break }
        }
        let seconds = Double(monotonic() - start) / 1e9
        Output.say(totals.json(seconds: seconds, failures: failures).description)
        if !failures.isEmpty { throw ExitCode(1) }
    }
}

/// What all runs did together.
private struct Totals {
    private var runs = 0
    private var virtualSeconds = 0.0
    private var tally = Simulation.Tally()

    mutating func add(_ simulation: Simulation) {
        runs += 1
        virtualSeconds += simulation.now / .seconds(1)
        tally += simulation.tally
    }

    func json(seconds: Double, failures: [(seed: UInt64, fault: String)]) -> JSON {
        let found: [JSON] = failures.prefix(20).map { .object([("seed", .number(Double($0.seed))), ("fault", .text($0.fault))]) }
        var members: [(String, JSON)] = [
            ("simulated", .number(Double(runs))), ("failed", .number(Double(failures.count))), ("failures", .array(found)),
            ("seconds", .number(seconds)), ("runs_per_second", .number(Double(runs) / max(seconds, 1e-9))),
            ("virtual_seconds", .number(virtualSeconds)),
        ]
        let counts: [(String, Int)] = [
            ("events", tally.events), ("published", tally.published), ("delivered", tally.delivered), ("evicted", tally.evicted),
            ("rejected", tally.rejected), ("lost_with_links", tally.lostWithLinks), ("requests", tally.requests),
            ("answered", tally.answered), ("established", tally.established), ("links", tally.links), ("links_lost", tally.linksLost),
            ("bytes", tally.bytes), ("inflated", tally.inflated), ("spilled", tally.spilled), ("duplicates", tally.duplicates),
            ("buried", tally.buried), ("relayed", tally.relayed),
        ]
        for (name, count) in counts { members.append((name, .number(Double(count)))) }
        return .object(members)
    }
}
