import Foundation
import LLMgineCore
import LLMgineTestKit
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A journal whose process is killed` {
    @Test func `loses nothing that was said to be durable, in twenty lives`() async throws {
        let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        var random = SeededGenerator(seed: 20)
        var durable: Set<Int> = []
        var handled: Set<Int> = []
        var next = 1
        for life in 1...20 {
            let lines = try await self.life(of: path, "--first", "\(next)", killedAfter: Int.random(in: 1...300, using: &random))
            durable.formUnion(numbers("durable", in: lines))
            handled.formUnion(numbers("handled", in: lines))
            // An event may be on the disk whose process did not live to say so.
            next = max(next, (durable.union(handled).max() ?? 0) + 2)
            #expect(!lines.isEmpty, "life \(life)")
        }
        let lines = try await life(of: path, "--last", killedAfter: nil)
        handled.formUnion(numbers("handled", in: lines))
        #expect(durable.subtracting(handled) == [])
        #expect(lines.last == "quarantined 0")
        #expect(durable.count > 100)
    }

    @Test func `says that a file may grow no more, and has kept what it said it had`() async throws {
        let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        // In units of 512 or 1024 bytes, as the shell has it: below the size at which the next file is begun.
        let child = try ChildProcess(
            "journal", executable: "/bin/sh",
            arguments: ["-c", "ulimit -f 8; exec \"$0\" journal --path \"$1\"", Machine.program("ClusterDemo"), path])
        #expect(await child.exit() == .code(1))
        let lines = await child.all(.output)
        #expect(await child.all(.error).contains { $0.contains("storageFailed") && $0.contains("cannot be written") })
        let rest = try await life(of: path, "--last", killedAfter: nil)
        let durable = Set(numbers("durable", in: lines))
        #expect(durable.subtracting(numbers("handled", in: lines) + numbers("handled", in: rest)) == [])
        #expect(!durable.isEmpty)
        #expect(rest.last == "quarantined 0")
    }

    /// A disk of its own that only the processes of one command see, where the system permits that. The injected full disk of `FileJournalTests` is
    /// there for all.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/unshare")))
    func `says that the disk is full, publishes nothing then, and has kept what it said it had`() async throws {
        let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let script = """
            mount -t tmpfs -o size=192k tmpfs "$1" || exit 77
            "$0" journal --path "$1/j" --bytes 1000 --hold; echo "ended $?"
            "$0" journal --path "$1/j" --last
            """
        let child = try ChildProcess(
            "journal", executable: "/usr/bin/unshare", arguments: ["-m", "/bin/sh", "-c", script, Machine.program("ClusterDemo"), path])
        let ending = await child.exit()
        let lines = await child.all(.output)
        guard ending != .code(77), !lines.isEmpty else { return }
        #expect(ending == .code(0))
        #expect(lines.contains("ended 1"))
        #expect(await child.all(.error).contains { $0.contains("storageFailed") && $0.contains("No space left on device") })
        let durable = Set(numbers("durable", in: lines))
        #expect(durable.count > 20)
        #expect(durable.subtracting(numbers("handled", in: lines)) == [])
        #expect(lines.last == "quarantined 0")
    }

    @Test func `belongs to one process`() async throws {
        let path = NSTemporaryDirectory() + "journal-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try ChildProcess(
            "journal", executable: Machine.program("ClusterDemo"), arguments: ["journal", "--path", path, "--hold"])
        try await first.line(.output, containing: "durable 1")
        let second = try ChildProcess(
            "journal", executable: Machine.program("ClusterDemo"), arguments: ["journal", "--path", path, "--last"])
        #expect(await second.exit() == .code(1))
        #expect(await second.all(.error).contains { $0.contains("\(path): is in use by another process, number \(first.pid)") })
        first.signal(SIGKILL)
        _ = await first.exit()
        // The right to it goes with the process, however that ends.
        let lines = try await life(of: path, "--last", killedAfter: nil)
        #expect(numbers("handled", in: lines).contains(1))
    }

    /// Runs the program until it has said so many lines, or to its end. - Returns: all that it said.
    private func life(of path: String, _ arguments: String..., killedAfter count: Int?) async throws -> [String] {
        let child = try ChildProcess(
            "journal", executable: Machine.program("ClusterDemo"), arguments: ["journal", "--path", path] + arguments)
        if let count {
            try await child.line(.output, from: count) { _ in true }
            child.signal(SIGKILL)
        }
        _ = await child.exit()
        return await child.all(.output)
    }

    private func numbers(_ word: String, in lines: [String]) -> [Int] {
        lines.filter { $0.hasPrefix(word + " ") }.compactMap { Int($0.dropFirst(word.count + 1)) }
    }
}
