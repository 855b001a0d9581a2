import Foundation
import LLMgine
import LLMgineTestKit

/// What happens to the nodes, one thing after another, drawn from a seed.
struct ChaosTroubles {
    private var random: SeededGenerator
    private let arena: ChaosArena
    /// How often each kind of trouble has struck.
    private(set) var counts: [String: Int] = [
        "kills": 0, "stops": 0, "cuts": 0, "stalls": 0, "refusals": 0, "freezes": 0, "floods": 0, "rolling_restarts": 0,
    ]

    init(seed: UInt64, arena: ChaosArena) {
        random = SeededGenerator(seed: seed)
        self.arena = arena
    }

    private mutating func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    /// One trouble from its beginning to its end, and a while after it.
    mutating func strike() async throws {
        let host = arena.hosts[draw(0...arena.hosts.count - 1)]
        let name = Chaos.name(host.number)
        switch draw(0...99) {
        case 0..<15:
            count("kills", "\(name) is killed")
            let process = arena.process(host.number)
            process?.signal(SIGKILL)
            _ = await process?.exit()
            try await wait(0...1500)
            try await arena.start(host)
        case 15..<30:
            count("stops", "\(name) is stopped")
            arena.process(host.number)?.signal(SIGSTOP)
            // Some longer than it takes to be given up.
            try await wait(200...8000)
            arena.process(host.number)?.signal(SIGCONT)
        case 30..<55:
            count("cuts", "\(host.proxy.cut()) links of \(name) are cut")
        case 55..<68:
            count("stalls", "nothing gets through to \(name)")
            host.proxy.stall()
            try await wait(200...8000)
            host.proxy.restore()
        case 68..<75:
            count("refusals", "\(name) cannot be reached")
            host.proxy.refuse()
            host.proxy.cut()
            try await wait(100...3000)
            host.proxy.restore()
        case 75..<85:
            count("freezes", "a handler of \(name) does not return")
            arena.order("freeze", host.number)
            try await wait(500...4000)
            arena.order("thaw", host.number)
        case 85..<92:
            count("floods", "all flood \(name), one handler of which does not return")
            arena.order("freeze", host.number)
            for other in arena.hosts where other.number != host.number { arena.order("flood \(host.number)", other.number) }
            try await wait(3000...6000)
            arena.order("thaw", host.number)
        default:
            count("rolling_restarts", "all nodes are restarted, one after another")
            for host in arena.hosts {
                guard let process = arena.process(host.number) else { continue }
                let ending = await process.stop(within: .seconds(20))
                guard ending == .code(0) else { throw LLMgineError(.handlerFailed, "\(process.name) did not stop cleanly: \(ending)") }
                try await arena.start(host)
            }
        }
        try await wait(100...2000)
    }

    /// Everything is as it should be again.
    func end() async throws {
        for host in arena.hosts {
            host.proxy.restore()
            arena.process(host.number)?.signal(SIGCONT)
            arena.order("thaw", host.number)
        }
    }

    private mutating func wait(_ milliseconds: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(draw(milliseconds)))
    }

    private mutating func count(_ kind: String, _ text: String) {
        counts[kind, default: 0] += 1
        progress(text)
    }
}
