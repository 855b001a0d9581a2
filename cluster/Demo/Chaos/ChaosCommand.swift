import ArgumentParser
import Foundation
import LLMgine
import LLMgineTestKit
import UnixSignals

/// Real processes under load, killed, stopped, cut off and restarted at random, and every event accounted for at the end.
struct ChaosCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chaos", abstract: "Kill, stop, cut off and restart real nodes under load, and account for every event and request.",
        discussion: """
            Example:
              cluster/chaos --minutes 5 --seed 1 --json
            Troubles: nodes are killed (SIGKILL), stopped (SIGSTOP) and restarted one after another, links are cut, stalled and refused, handlers are slow
            and freeze, certificates are rotated, and the disk of a journal is full. Each node runs in a network namespace of its own where that is
            permitted, and the journal has a small disk of its own where mounting is; what is not permitted is said, and done without.
            The last line says what was lost silently, came out of order or twice: all three must be 0. So must what became of requests that never ended, or
            failed in a rolling restart though they had two responders.
            """)

    @Option(help: "How long trouble goes on; at the least, until each kind has struck (about a minute).") var minutes = 1.0
    @Option(help: "What the troubles are drawn from; times depend on the machine.") var seed: UInt64 = 1
    @Option(help: "How many nodes, 3 to 5.") var nodes = 3
    @Option(help: "Events a second that each node publishes to each other at most once; a tenth of it at least once, a fifth durably.")
    var rate = 300
    @Option(help: "Where the nodes are: namespaces of their own, loopback ports behind proxies, or auto: what is permitted.")
    var network = ChaosNetworkChoice.auto
    @Flag(help: "Print the result as one JSON object on the last line.") var json = false
    @Flag(help: "Keep histories and logs also when all is well.") var keep = false
    /// What was found to be permitted, once this process is where it is.
    @Option(help: .hidden) var ground: String?

    func validate() throws {
        guard (3...5).contains(nodes) else { throw ValidationError("--nodes is 3 to 5, not \(nodes)") }
        guard minutes > 0, minutes <= 10_000 else { throw ValidationError("--minutes is more than 0, not \(minutes)") }
        guard (1...100_000).contains(rate) else { throw ValidationError("--rate is 1 to 100,000, not \(rate)") }
    }

    func run() async throws {
        let ground = try await foundGround()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let arena = try await ChaosArena(nodes: nodes, rate: rate, on: ground)
        let job = Task { try await perform(in: arena, on: ground) }
        let watch = Task {
            for await signal in signals {
                progress("\(signal): stopping")
                job.cancel()
                await arena.abandon()
                Foundation.exit(128 + signal.rawValue)
            }
        }
        let report: ChaosReport
        do {
            report = try await job.value
        } catch {
            if job.isCancelled { await watch.value }
            await arena.abandon()
            progress("\((error as? LLMgineError)?.detail ?? "\(error)"); histories and logs are in \(arena.directory)/")
            throw ExitCode.failure
        }
        watch.cancel()
        let isWell = report.verdict.isWell
        for complaint in report.verdict.complaints { print("! \(complaint)") }
        print(report.text)
        if json { print(report.json) }
        guard isWell else {
            await arena.keepJournal()
            progress("histories and logs are in \(arena.directory)/")
            throw ExitCode.failure
        }
        if keep { await arena.keepJournal() } else { await arena.clear() }
    }

    private func foundGround() async throws -> ChaosGround {
        if let ground { return try JSONDecoder().decode(ChaosGround.self, from: Data(ground.utf8)) }
        do {
            return try await ChaosGround.find(network)
        } catch {
            progress((error as? LLMgineError)?.detail ?? "\(error)")
            throw ExitCode.failure
        }
    }

    private func perform(in arena: ChaosArena, on ground: ChaosGround) async throws -> ChaosReport {
        progress("histories and logs are in \(arena.directory)/")
        if let reason = ground.noNetwork { progress("no network namespaces: \(reason)") }
        if let reason = ground.noDisk { progress("no disk is filled: \(reason)") }
        for node in arena.nodes { try await arena.start(node) }
        try await arena.linked(within: .seconds(30))
        progress("\(nodes) nodes are linked, network: \(arena.network.name); \(minutes) minutes of trouble from seed \(seed)")
        var schedule = ChaosSchedule(seed: seed, nodes: nodes, hasDisk: arena.disk != nil)
        var troubles = ChaosTroubles(arena: arena)
        let end = ContinuousClock.now + .seconds(minutes * 60)
        while ContinuousClock.now < end || schedule.rounds == 0 {
            try Task.checkCancellation()
            try await troubles.strike(schedule.next())
        }
        try await troubles.end()
        let owed = try await arena.settle()
        progress("all is quiet; stopping the nodes")
        let endings = await arena.stop()
        var verdict = try ChaosChecker(arena.histories(), times: troubles.times).verdict
        for (name, ending) in endings where ending != .code(0) {
            verdict.complain("\(name) did not stop cleanly on SIGTERM (\(ending)); see its log")
        }
        if owed > 0 { verdict.complain("\(owed) events are still owed to somebody, long after all is quiet") }
        if troubles.rotationsInEffect == 0 { verdict.complain("no new certificate came into effect") }
        return ChaosReport(
            nodes: nodes, seed: seed, network: arena.network.name, ground: ground, troubles: troubles, verdict: verdict)
    }
}
