import Foundation
import LLMgine
import LLMgineTestKit
import Synchronization

/// Where the chaos takes place: hosts with certificates, a proxy before each, and the processes that run there.
final class ChaosArena: Sendable {
    /// A place for one node.
    struct Host: Sendable {
        let number: Int
        /// Where its process listens.
        let port: Int
        let proxy: ChaosProxy
    }

    let directory: String
    let hosts: [Host]
    let cast = Cast()
    private let rate: Int
    private let state = Mutex(State())

    private struct State {
        var running: [Int: ChildProcess] = [:]
        var lives: [Int: Int] = [:]
    }

    private init(directory: String, hosts: [Host], rate: Int) {
        self.directory = directory
        self.hosts = hosts
        self.rate = rate
    }

    static func open(nodes: Int, rate: Int) async throws -> ChaosArena {
        let directory = "cluster/.run/chaos-\(ProcessInfo.processInfo.processIdentifier)"
        for folder in ["history", "logs"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(folder)", withIntermediateDirectories: true)
        }
        let authority = try CertificateAuthority(cluster: "chaos")
        let ports = try await Stage.freePorts(nodes)
        var hosts: [Host] = []
        for number in 0..<nodes {
            try authority.issue(try NodeID(Chaos.name(number))).save(to: "\(directory)/certs/\(Chaos.name(number))", force: true)
            hosts.append(Host(number: number, port: ports[number], proxy: try await ChaosProxy(target: ports[number])))
        }
        return ChaosArena(directory: directory, hosts: hosts, rate: rate)
    }

    /// The process that runs on a host, if one does.
    func process(_ host: Int) -> ChildProcess? {
        state.withLock { $0.running[host] }.flatMap { $0.isRunning ? $0 : nil }
    }

    /// Starts the next life on a host. - Returns: once it has joined and everybody knows what it wants.
    func start(_ host: Host) async throws {
        let life = state.withLock { state in
            state.lives[host.number, default: 0] += 1
            return state.lives[host.number] ?? 0
        }
        let name = Chaos.name(host.number)
        var arguments = [
            "chaos-node", "--number", "\(host.number)", "--nodes", "\(hosts.count)", "--listen", "127.0.0.1:\(host.port)",
            "--advertise", "127.0.0.1:\(host.proxy.port)", "--certificates", "\(directory)/certs/\(name)",
            "--history", "\(directory)/history/\(name)-\(life).log", "--rate", "\(rate)",
        ]
        for other in hosts where other.number != host.number { arguments += ["--seeds", "127.0.0.1:\(other.proxy.port)"] }
        let log = LogFile(path: "\(directory)/logs/\(name).log")
        let process = try cast.launch(name, log: log, .demo(arguments))
        state.withLock { $0.running[host.number] = process }
        try await process.report(within: .seconds(60)) { if case .ready = $0 { () } else { nil } }
    }

    /// Waits until every node has links to all others. - Throws: `deadlineExceeded`.
    func linked(within limit: Duration) async throws {
        let end = ContinuousClock.now + limit
        while true {
            let counts = try await counts()
            if counts.allSatisfy({ $0.peers == hosts.count - 1 }) { return }
            guard ContinuousClock.now < end else {
                throw LLMgineError(.deadlineExceeded, "after \(limit) the nodes have \(counts.map(\.peers)) peers")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func counts() async throws -> [(handled: Int, peers: Int)] {
        var counts: [(handled: Int, peers: Int)] = []
        for host in hosts {
            guard let process = process(host.number) else {
                throw LLMgineError(.peerLost, "\(Chaos.name(host.number)) has ended by itself; see its log")
            }
            let from = process.lineCount
            try process.write("count\n")
            let line = try await patiently(.seconds(30), "\(process.name) to count") {
                try await process.line(.output, from: from) { line in
                    if case .handled = Report(line: line) { true } else { false }
                }
            }
            if case .handled(let handled, let peers) = Report(line: line) { counts.append((handled, peers)) }
        }
        return counts
    }

    func order(_ order: String, _ host: Int) { try? process(host)?.write(order + "\n") }

    /// Waits until nothing is under way any more.
    func settle() async throws {
        try await linked(within: .seconds(60))
        for host in hosts { order("quiet", host.number) }
        var last = -1
        var same = 0
        for _ in 0..<120 {
            try await Task.sleep(for: .milliseconds(500))
            let handled = try await counts().reduce(0) { $0 + $1.handled }
            same = handled == last ? same + 1 : 0
            last = handled
            if same == 4 { break }
        }
        for host in hosts { order("settled", host.number) }
        try await Task.sleep(for: .milliseconds(300))
    }

    func stop() async -> [(name: String, ending: ChildProcess.Ending)] {
        let endings = await cast.stopNodes(hosts.compactMap { process($0.number) })
        for host in hosts { await host.proxy.close() }
        return endings
    }

    var histories: [URL] {
        let folder = URL(filePath: "\(directory)/history")
        return (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    }

    func clear() { try? FileManager.default.removeItem(atPath: directory) }
}
