import Foundation
import NIOPosix

/// A process of a benchmark: it ends when this value is ended, and the kernel ends it when this process dies, however that comes about.
struct Child: Sendable {
    private let process: Process
    private let lines: Lines
    private let name: String

    /// Starts a program. What it prints on standard error goes to the file; without one it is read as lines, like what it prints on
    /// standard output.
    ///
    /// On a thread of NIO's blocking pool, which lasts as long as the process: the parent-death signal is sent when the *thread* that started
    /// the child ends, and threads of the concurrency pool, even the main one, come and go.
    init(_ command: Command, errors: FileHandle?) async throws {
        name = command.name
        process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/setpriv")
        process.arguments = ["--pdeathsig", "KILL", "--", command.program.path] + command.arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors ?? output
        let (stream, continuation) = AsyncStream.makeStream(of: String.self)
        lines = Lines(stream)
        let splitter = LineSplitter(continuation)
        output.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            if data.isEmpty {
                handle.readabilityHandler = nil
                splitter.finish()
            } else {
                splitter.append(data)
            }
        }
        try await NIOThreadPool.singleton.runIfActive { [process] in try process.run() }
    }

    /// The next line with the name.
    /// - Throws: when the process ends or the time passes before it comes.
    func line(_ name: String, within limit: Duration = .seconds(60)) async throws -> Line {
        try await first(within: limit, awaited: name) { text in
            Line(parsing: text).flatMap { $0.name == name ? $0 : nil }
        }
    }

    /// Waits for a line that contains the text.
    func text(_ part: String, within limit: Duration = .seconds(10)) async throws {
        _ = try await first(within: limit, awaited: part) { $0.contains(part) ? true : nil }
    }

    /// Ends the process at once, frozen or not.
    func end() {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    /// Stops the process where it stands, as an operator's SIGSTOP or a swapped-out machine would.
    func freeze() { kill(process.processIdentifier, SIGSTOP) }

    private func first<Found: Sendable>(within limit: Duration, awaited: String, _ match: (String) -> Found?) async throws -> Found {
        async let _ = endUnlessCancelled(after: limit)
        while let text = await lines.next() {
            if let found = match(text) { return found }
        }
        throw BenchError("\(name) ended, or had to be ended after \(limit), before it said \"\(awaited)\"")
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

/// The lines of a process, read by one task after another.
private actor Lines {
    private let stream: AsyncStream<String>
    init(_ stream: AsyncStream<String>) { self.stream = stream }

    func next() async -> String? {
        var iterator = stream.makeAsyncIterator()
        return await iterator.next(isolation: self)
    }
}

/// Cuts what a pipe brings into lines.
///
/// Its proof of `@unchecked Sendable`: only the pipe's readability handler calls it, and that is never called twice at once.
private final class LineSplitter: @unchecked Sendable {
    private var rest = Data()
    private let continuation: AsyncStream<String>.Continuation

    init(_ continuation: AsyncStream<String>.Continuation) { self.continuation = continuation }

    func append(_ data: Data) {
        rest.append(data)
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            continuation.yield(String(decoding: rest[rest.startIndex..<end], as: UTF8.self))
            rest = Data(rest[rest.index(after: end)...])
        }
    }

    func finish() { continuation.finish() }
}
