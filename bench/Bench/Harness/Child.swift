import Foundation
import LLMgineTestKit
import NIOPosix

/// A process of a benchmark: it ends when this value is ended, and the kernel ends it when this process dies, however that comes about.
struct Child: Sendable {
    private let process: ChildProcess
    /// Where the lines that are waited for come from.
    private let channel: ChildProcess.Channel

    /// Starts a program. What it prints on standard error goes to the file; without one it is read as lines, in place of what it prints on
    /// standard output.
    ///
    /// On a thread of NIO's blocking pool, which lasts as long as the process: the parent-death signal is sent when the *thread* that started
    /// the child ends, and threads of the concurrency pool, even the main one, come and go.
    init(_ command: Command, errors: FileHandle?) async throws {
        channel = errors == nil ? .error : .output
        process = try await NIOThreadPool.singleton.runIfActive {
            try ChildProcess(
                command.name, executable: "/usr/bin/setpriv",
                arguments: ["--pdeathsig", "KILL", "--", command.program.path] + command.arguments
            ) { channel, line in
                if channel == .error { errors?.write(Data((line + "\n").utf8)) }
            }
        }
    }

    /// The first line with the name.
    /// - Throws: when the process ends or the time passes before it comes.
    func line(_ name: String, within limit: Duration = .seconds(60)) async throws -> Line {
        let text = try await first(within: limit) { Line(parsing: $0)?.name == name }
        guard let line = Line(parsing: text) else { throw BenchError("\"\(text)\" is no line") }
        return line
    }

    /// Waits for a line that contains the text.
    func text(_ part: String, within limit: Duration = .seconds(10)) async throws {
        _ = try await first(within: limit) { $0.contains(part) }
    }

    /// Ends the process at once, frozen or not.
    func end() { process.signal(SIGKILL) }

    /// Stops the process where it stands, as an operator's SIGSTOP or a swapped-out machine would.
    func freeze() { process.signal(SIGSTOP) }

    private func first(within limit: Duration, where matches: @escaping @Sendable (String) -> Bool) async throws -> String {
        async let _ = endUnlessCancelled(after: limit)
        return try await process.line(channel, where: matches)
    }

    private func endUnlessCancelled(after limit: Duration) async {
        guard (try? await Task.sleep(for: limit)) != nil else { return }
        end()
    }
}

/// A program with its arguments.
struct Command: Sendable {
    let program: URL
    let arguments: [String]

    init(_ program: URL, _ arguments: [String]) {
        self.program = program
        self.arguments = arguments
    }

    /// What messages call it.
    var name: String { ([program.lastPathComponent] + arguments.prefix(2)).joined(separator: " ") }
}
