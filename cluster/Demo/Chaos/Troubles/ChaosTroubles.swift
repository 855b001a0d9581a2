import Foundation
import LLMgine
import LLMgineTestKit

/// Does to the nodes what is planned, one trouble after another, and counts it.
struct ChaosTroubles {
    private let arena: ChaosArena
    /// How often each kind of trouble has struck.
    private(set) var counts: [ChaosTrouble.Kind: Int] = [:]
    /// Rotations after which all links of the node went on with the new certificates.
    private(set) var rotationsInEffect = 0
    /// Link ends that were lost during rotations, by why, if only in the aftermath of what struck before.
    private(set) var linksLostInRotations: [String: Int] = [:]
    /// When links and processes were in trouble, for the checker.
    private(set) var times = ChaosTimes()

    init(arena: ChaosArena) { self.arena = arena }

    /// One trouble from its beginning to its end, and a while after it.
    mutating func strike(_ trouble: ChaosTrouble) async throws {
        counts[trouble.kind, default: 0] += 1
        let name = Chaos.name(trouble.node)
        switch trouble.kind {
        case .kill:
            progress("\(name) is killed")
            await kill(trouble.node)
            try await Task.sleep(for: trouble.lasts)
            try await arena.start(trouble.node)
        case .stop:
            progress("\(name) is stopped")
            noteTrouble(trouble.node)
            arena.process(trouble.node)?.signal(SIGSTOP)
            try await Task.sleep(for: trouble.lasts)
            arena.process(trouble.node)?.signal(SIGCONT)
            noteRestoration(trouble.node)
        case .cut:
            progress("the links of \(name) are cut")
            noteTrouble(trouble.node)
            try await arena.network.cut(trouble.node)
            try await restore(trouble)
        case .stall:
            progress("nothing gets through to \(name)")
            noteTrouble(trouble.node)
            try await arena.network.stall(trouble.node)
            try await restore(trouble)
        case .refusal:
            progress("\(name) cannot be reached")
            noteTrouble(trouble.node)
            try await arena.network.refuse(trouble.node)
            try await restore(trouble)
        case .freeze:
            progress("handlers of \(name) do not return")
            try await freeze(trouble)
        case .flood:
            progress("all flood \(name), handlers of which do not return")
            for other in arena.nodes where other != trouble.node { arena.order("flood \(trouble.node)", other) }
            try await freeze(trouble)
        case .rollingRestart:
            progress("all nodes are restarted, one after another")
            try await restartAll()
        case .rotation:
            progress("\(name) gets a new certificate")
            try await rotate([trouble.node])
        case .rotationOfAll:
            progress("all nodes get new certificates")
            try await rotate(Array(arena.nodes))
        case .fullDisk, .fullDiskAndKill:
            try await fillDisk(trouble)
        }
        try await Task.sleep(for: trouble.pause)
    }

    /// Everything is as it should be again.
    func end() async throws {
        for node in arena.nodes {
            try await arena.network.restore(node)
            arena.process(node)?.signal(SIGCONT)
            arena.order("thaw", node)
        }
    }

    private mutating func noteTrouble(_ node: Int?) { times.troubles.append(ChaosTimes.Moment(node: node, time: ChaosHistory.time)) }
    private mutating func noteRestoration(_ node: Int) {
        times.restorations.append(ChaosTimes.Moment(node: node, time: ChaosHistory.time))
    }

    private mutating func restore(_ trouble: ChaosTrouble) async throws {
        try await Task.sleep(for: trouble.lasts)
        try await arena.network.restore(trouble.node)
        noteRestoration(trouble.node)
    }

    private func freeze(_ trouble: ChaosTrouble) async throws {
        arena.order("freeze", trouble.node)
        try await Task.sleep(for: trouble.lasts)
        arena.order("thaw", trouble.node)
    }

    private mutating func kill(_ node: Int) async {
        noteTrouble(node)
        let process = arena.process(node)
        process?.signal(SIGKILL)
        _ = await process?.exit()
    }

    /// What struck before is over by then, so that a request that fails has failed of the restart.
    private mutating func restartAll() async throws {
        try await arena.linked(within: .seconds(60))
        try await Task.sleep(for: .milliseconds(2500))
        try await arena.linked(within: .seconds(60))
        let begin = ChaosHistory.time
        noteTrouble(nil)
        defer { times.rollingRestarts.append(begin...ChaosHistory.time) }
        for node in arena.nodes {
            guard let process = arena.process(node) else { continue }
            let ending = await process.stop(within: .seconds(20))
            guard ending == .code(0) else { throw LLMgineError(.handlerFailed, "\(process.name) did not stop cleanly: \(ending)") }
            try await arena.start(node)
        }
    }

    /// Writes new certificates, and waits until every link of these nodes goes on with them.
    private mutating func rotate(_ nodes: [Int]) async throws {
        try await arena.linked(within: .seconds(60))
        let before = try await arena.tallies()
        for node in nodes { try arena.issueCertificate(node) }
        let links = arena.nodes.count - 1
        let isInEffect = try await arena.reaches(within: .seconds(20)) { tallies in
            nodes.allSatisfy { tallies[$0].renewals - before[$0].renewals >= links }
        }
        if isInEffect { rotationsInEffect += 1 } else { progress("not all links have gone on with the new certificates") }
        let after = try await arena.tallies()
        for (before, after) in zip(before, after) {
            for (reason, count) in after.closures where count > before.closures[reason] ?? 0 {
                linksLostInRotations[reason, default: 0] += count - (before.closures[reason] ?? 0)
            }
        }
    }

    /// Fills the disk of the journal until durable publishes are refused, and a while longer; then they must be accepted again.
    private mutating func fillDisk(_ trouble: ChaosTrouble) async throws {
        guard let disk = arena.disk else { return }
        let node = trouble.node
        progress("the disk of \(Chaos.name(node))'s journal is full\(trouble.kind == .fullDiskAndKill ? ", and the node is killed" : "")")
        try await arena.linked(within: .seconds(60))
        let before = try await arena.tallies()[node]
        let filling = Task { await disk.keepFull() }
        do {
            guard try await arena.reaches(within: .seconds(20), { $0[node].refused > before.refused }) else {
                throw LLMgineError(.handlerFailed, "the disk of \(Chaos.name(node)) is full, and its journal refuses nothing")
            }
            try await Task.sleep(for: trouble.lasts)
            if trouble.kind == .fullDiskAndKill {
                await kill(node)
                try await arena.start(node)
            }
        } catch {
            filling.cancel()
            throw error
        }
        filling.cancel()
        await filling.value
        disk.giveBack()
        let then = try await arena.tallies()[node]
        guard try await arena.reaches(within: .seconds(30), { $0[node].acknowledged > then.acknowledged }) else {
            throw LLMgineError(.handlerFailed, "the disk of \(Chaos.name(node)) has room again, and its journal takes nothing")
        }
    }
}
