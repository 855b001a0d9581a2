import ArgumentParser
import Foundation
import LLMgine
import LLMgineTestKit
import UnixSignals

/// Real processes under load, killed, stopped, cut off and restarted at random, and every event accounted for at the end.
struct ChaosCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos", abstract: "Kill, stop, cut off and restart real nodes under load, and account for every event.",
        discussion: """
            Example:
              cluster/chaos --minutes 5 --seed 1 --json
            The last line says what was lost silently, came out of order or twice: all three must be 0.
            """)

    @Option(help: "How long trouble goes on.") var minutes = 1.0
    @Option(help: "What the troubles are drawn from; times depend on the machine.") var seed: UInt64 = 1
    @Option(help: "How many nodes, 3 to 5.") var nodes = 3
    @Option(help: "Events a second that each node publishes to each other.") var rate = 300
    @Flag(help: "Print the result as one JSON object on the last line.") var json = false
    @Flag(help: "Keep histories and logs also when all is well.") var keep = false

    func validate() throws {
        guard (3...5).contains(nodes) else { throw ValidationError("--nodes is 3 to 5, not \(nodes)") }
        guard minutes > 0, minutes <= 10_000 else { throw ValidationError("--minutes is more than 0, not \(minutes)") }
        guard (1...100_000).contains(rate) else { throw ValidationError("--rate is 1 to 100,000, not \(rate)") }
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let arena = try await ChaosArena.open(nodes: nodes, rate: rate)
        let job = Task { try await perform(in: arena) }
        let watch = Task {
            for await signal in signals {
                progress("\(signal): stopping")
                job.cancel()
                await arena.cast.stopAll()
                Foundation.exit(128 + signal.rawValue)
            }
        }
        let result: (counts: [String: Int], verdict: ChaosChecker.Verdict)
        do {
            result = try await job.value
        } catch {
            if job.isCancelled { await watch.value }
            await arena.cast.stopAll()
            progress("\((error as? LLMgineError)?.detail ?? "\(error)"); histories and logs are in \(arena.directory)/")
            throw ExitCode.failure
        }
        watch.cancel()
        let verdict = result.verdict
        let isWell =
            verdict.lostSilently == 0 && verdict.orderViolations == 0 && verdict.duplicates == 0 && verdict.complaints.isEmpty
            && verdict.handled > 0
        for complaint in verdict.complaints { print("! \(complaint)") }
        print(identity(verdict))
        if !isWell { progress("histories and logs are in \(arena.directory)/") }
        if json { print(try line(verdict, result.counts)) }
        guard isWell else { throw ExitCode.failure }
        if !keep { arena.clear() }
    }

    private func perform(in arena: ChaosArena) async throws -> (counts: [String: Int], verdict: ChaosChecker.Verdict) {
        progress("histories and logs are in \(arena.directory)/")
        for host in arena.hosts { try await arena.start(host) }
        try await arena.linked(within: .seconds(30))
        progress("\(nodes) nodes are linked; \(minutes) minutes of trouble from seed \(seed)")
        var troubles = ChaosTroubles(seed: seed, arena: arena)
        let end = ContinuousClock.now + .seconds(minutes * 60)
        while ContinuousClock.now < end {
            try Task.checkCancellation()
            try await troubles.strike()
        }
        try await troubles.end()
        try await arena.settle()
        progress("all is quiet; stopping the nodes")
        let endings = await arena.stop()
        var verdict = try ChaosChecker(files: arena.histories).verdict
        for (name, ending) in endings where ending != .code(0) {
            verdict.complaints.append("\(name) did not stop cleanly on SIGTERM (\(ending)); see its log")
        }
        return (troubles.counts, verdict)
    }

    private func identity(_ verdict: ChaosChecker.Verdict) -> String {
        """
        published and matched \(verdict.matched) = handled \(verdict.handled) + told by gap markers \(verdict.evicted) \
        + dead letters \(verdict.deadLettered) + lost with links and processes \(verdict.lostWithLinks) \
        + published while a link came or went \(verdict.unclear) + lost silently \(verdict.lostSilently) \
        + not written down by killed processes
        """
    }

    private func line(_ verdict: ChaosChecker.Verdict, _ counts: [String: Int]) throws -> String {
        var members: [String: Int] = counts
        members["lost_silently"] = verdict.lostSilently
        members["order_violations"] = verdict.orderViolations
        members["duplicates_in_window"] = verdict.duplicates
        members["published"] = verdict.published
        members["matched"] = verdict.matched
        members["handled"] = verdict.handled
        members["gap_marked"] = verdict.evicted
        members["rejected"] = verdict.rejected
        members["dead_lettered"] = verdict.deadLettered
        members["lost_with_links"] = verdict.lostWithLinks
        members["unclear"] = verdict.unclear
        members["links"] = verdict.links
        members["lives"] = verdict.lives
        members["clean_ends"] = verdict.cleanEnds
        members["nodes"] = nodes
        members["seed"] = Int(seed)
        members["complaints"] = verdict.complaints.count
        return String(decoding: try JSONSerialization.data(withJSONObject: members, options: [.sortedKeys]), as: UTF8.self)
    }
}
