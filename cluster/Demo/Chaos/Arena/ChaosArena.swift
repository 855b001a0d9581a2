import Foundation
import LLMgine
import LLMgineTestKit
import Synchronization

/// Where the chaos takes place: a network, certificates, a disk, and the processes that run as nodes.
final class ChaosArena: Sendable {
    let directory: String
    let nodes: Range<Int>
    let network: any ChaosNetwork
    /// A disk that the journal has to itself, where that is permitted.
    let disk: ChaosDisk?
    let cast = Cast()
    private let authority: CertificateAuthority
    private let rate: Int
    private let state = Mutex(State())

    private struct State {
        var running: [Int: ChildProcess] = [:]
        var lives: [Int: Int] = [:]
    }

    init(nodes: Int, rate: Int, on ground: ChaosGround) async throws {
        directory = "cluster/.run/chaos-\(ProcessInfo.processInfo.processIdentifier)"
        self.nodes = 0..<nodes
        self.rate = rate
        for folder in ["history", "logs"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(folder)", withIntermediateDirectories: true)
        }
        authority = try CertificateAuthority(cluster: "chaos")
        network = ground.noNetwork == nil ? try await NamespaceNetwork(nodes: nodes) : try await LoopbackNetwork(nodes: nodes)
        disk = ground.noDisk == nil ? try await ChaosDisk(at: "\(directory)/disk") : nil
        for node in self.nodes { try issueCertificate(node) }
    }

    /// Writes a new certificate and key where the node looks for them.
    func issueCertificate(_ node: Int) throws {
        let name = Chaos.name(node)
        try authority.issue(try NodeID(name)).save(to: "\(directory)/certs/\(name)", force: true)
    }

    /// The process that runs as a node, if one does.
    func process(_ node: Int) -> ChildProcess? {
        state.withLock { $0.running[node] }.flatMap { $0.isRunning ? $0 : nil }
    }

    /// Starts the next life of a node. - Returns: once it has joined and everybody knows what it wants.
    func start(_ node: Int) async throws {
        let life = state.withLock { state in
            state.lives[node, default: 0] += 1
            return state.lives[node] ?? 0
        }
        let name = Chaos.name(node)
        var arguments = [
            "chaos-node", "--number", "\(node)", "--nodes", "\(nodes.count)", "--listen", network.listens(node),
            "--advertise", network.address(of: node), "--certificates", "\(directory)/certs/\(name)",
            "--history", "\(directory)/history/\(name)-\(life).log", "--rate", "\(rate)",
        ]
        for other in nodes where other != node { arguments += ["--seeds", network.address(of: other)] }
        if node == Chaos.durableNode { arguments += ["--journal", "\(disk?.path ?? directory)/journal"] }
        let process = try cast.launch(
            name, log: LogFile(path: "\(directory)/logs/\(name).log"), network.program(arguments, at: node))
        state.withLock { $0.running[node] = process }
        try await process.report(within: .seconds(60)) { if case .ready = $0 { () } else { nil } }
    }

    func order(_ order: String, _ node: Int) { try? process(node)?.write(order + "\n") }

    // MARK: How they are

    /// What each node has counted. - Throws: `peerLost` if one has ended.
    func tallies() async throws -> [ChaosTally] {
        var tallies: [ChaosTally] = []
        for node in nodes {
            guard let process = process(node) else {
                throw LLMgineError(.peerLost, "\(Chaos.name(node)) has ended by itself; see its log")
            }
            let from = process.lineCount
            try process.write("count\n")
            let line = try await patiently(.seconds(30), "\(process.name) to count") {
                try await process.line(.output, from: from) { line in
                    if case .tally = Report(line: line) { true } else { false }
                }
            }
            if case .tally(let tally) = Report(line: line) { tallies.append(tally) }
        }
        return tallies
    }

    /// Waits until the nodes have counted what is wanted. - Returns: whether they have in time.
    func reaches(within limit: Duration, _ isReached: ([ChaosTally]) -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            if isReached(try await tallies()) { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    /// Waits until every node has links to all others. - Throws: `deadlineExceeded`.
    func linked(within limit: Duration) async throws {
        guard try await reaches(within: limit, { $0.allSatisfy { $0.peers == nodes.count - 1 } }) else {
            throw LLMgineError(.deadlineExceeded, "after \(limit) the nodes have \(try await tallies().map(\.peers)) peers")
        }
    }

    /// Waits until nothing is under way any more, and nobody is owed anything. - Returns: how many events somebody is owed all the same.
    func settle() async throws -> Int {
        try await linked(within: .seconds(60))
        for node in nodes { order("quiet", node) }
        var last = -1
        var same = 0
        var owed = 0
        for _ in 0..<120 where same < 4 {
            try await Task.sleep(for: .milliseconds(500))
            let tallies = try await tallies()
            owed = tallies.reduce(0) { $0 + $1.owed }
            let handled = tallies.reduce(0) { $0 + $1.handled }
            let isQuiet = owed == 0 && tallies.allSatisfy { $0.waiting == 0 }
            same = isQuiet && handled == last ? same + 1 : 0
            last = handled
        }
        for node in nodes { order("settled", node) }
        try await Task.sleep(for: .milliseconds(300))
        return owed
    }

    // MARK: The end

    func stop() async -> [(name: String, ending: ChildProcess.Ending)] {
        let endings = await cast.stopNodes(nodes.compactMap { process($0) })
        await network.close()
        return endings
    }

    /// Stops whatever runs, in whatever state it is.
    func abandon() async {
        // Whoever is stopped hears nothing else.
        for node in nodes { process(node)?.signal(SIGCONT) }
        await cast.stopAll()
        await network.close()
        await keepJournal()
        await disk?.unmount()
    }

    /// What all lives have written, those of one node in their order.
    func histories() throws -> [(node: Int, bytes: [UInt8])] {
        var histories: [(node: Int, bytes: [UInt8])] = []
        let lives = state.withLock { $0.lives }
        for node in nodes {
            for life in 1...max(1, lives[node] ?? 1) {
                let file = URL(filePath: "\(directory)/history/\(Chaos.name(node))-\(life).log")
                histories.append((node, [UInt8](try Data(contentsOf: file))))
            }
        }
        return histories
    }

    /// Copies the journal from its disk, which goes with this process, to where it can be looked at.
    func keepJournal() async {
        guard let disk else { return }
        try? FileManager.default.copyItem(atPath: "\(disk.path)/journal", toPath: "\(directory)/journal")
    }

    func clear() async {
        await disk?.unmount()
        try? FileManager.default.removeItem(atPath: directory)
    }
}
