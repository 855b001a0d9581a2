import Foundation
import LLMgine
import LLMgineOTLPSink
import LLMgineTestKit
import Synchronization

/// The processes of the demo. None of them outlives it: their standard input ends with it, and with that they end.
final class Cast: Sendable {
    private let running = Mutex<[ChildProcess]>([])

    /// A program of the build.
    enum Program {
        /// This one, as an application.
        case demo([String])
        /// The command line.
        case llmgine([String])
        /// A program of the system.
        case command(String, [String])

        var executable: String {
            let own = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            return switch self {
            case .demo: own.path
            case .llmgine: own.deletingLastPathComponent().appending(path: "llmgine").path
            case .command(let path, _): path
            }
        }

        var arguments: [String] {
            switch self {
            case .demo(let arguments), .llmgine(let arguments), .command(_, let arguments): arguments
            }
        }
    }

    /// How long a process may take to be ready, and to stop.
    private static let patience = Duration.seconds(30)

    /// Starts a node that reports when it is ready.
    func startNode(_ name: String, _ stage: Stage, _ program: Program) async throws -> ChildProcess {
        let node = try start(name, stage, program)
        try await node.report(within: Cast.patience) { if case .ready = $0 { () } else { nil } }
        return node
    }

    /// Starts node C, which is the standard node, and waits until A and B are linked to it.
    func startWorker(_ stage: Stage) async throws -> ChildProcess {
        let worker = try start("c", stage, .llmgine(["node", "--config", stage.settings("c"), "--until-input-ends"]))
        try await patiently(Cast.patience, "c to be linked to a and b") {
            for peer in ["a", "b"] { try await worker.line(.error) { $0.contains("peer linked") && $0.contains("peer=\(peer)") } }
        }
        return worker
    }

    /// Starts the receiver of telemetry, unless the environment names another one. - Returns: nil then.
    func startSink(_ stage: Stage) async throws -> ChildProcess? {
        guard let port = stage.sinkPort else { return nil }
        let sink = try start("sink", stage, .llmgine(["otlp-sink", "--port", "\(port)", "--until-input-ends"]))
        try await patiently(Cast.patience, "the receiver of telemetry") {
            _ = try await sink.line(.error, containing: "receiving telemetry")
        }
        return sink
    }

    private func start(_ name: String, _ stage: Stage, _ program: Program) throws -> ChildProcess {
        try launch(name, log: stage.log(name), environment: stage.environment, program)
    }

    /// Starts a process whose standard error goes to a log.
    func launch(_ name: String, log: LogFile, environment: [String: String?] = [:], _ program: Program) throws -> ChildProcess {
        let child = try ChildProcess(
            name, executable: program.executable, arguments: program.arguments, environment: environment
        ) { channel, line in if channel == .error { log.write(line) } }
        running.withLock { $0.append(child) }
        return child
    }

    /// Asks each node to stop, one after another. - Returns: how they ended.
    func stopNodes(_ nodes: [ChildProcess]) async -> [(name: String, ending: ChildProcess.Ending)] {
        var endings: [(String, ChildProcess.Ending)] = []
        for node in nodes { endings.append((node.name, await node.stop(within: Cast.patience))) }
        return endings
    }

    /// Asks the receiver to stop. - Returns: what it has received; nil if there is none of ours.
    func stopSink(_ sink: ChildProcess?) async throws -> SinkSummary? {
        guard let sink else { return nil }
        _ = await sink.stop(within: Cast.patience)
        let line = try await sink.line(.output) { $0.hasPrefix("{") }
        return try JSONDecoder().decode(SinkSummary.self, from: Data(line.utf8))
    }

    /// Stops whatever runs, all at once.
    func stopAll() async {
        let all = running.withLock { $0 }
        await withTaskGroup(of: Void.self) { tasks in
            for child in all where child.isRunning { tasks.addTask { _ = await child.stop(within: .seconds(15)) } }
        }
    }
}

extension ChildProcess {
    /// The next report that is as asked.
    @discardableResult
    func report<Value: Sendable>(within limit: Duration = .seconds(120), _ pick: @escaping @Sendable (Report) -> Value?) async throws
        -> Value
    {
        let line = try await patiently(limit, "a report of \(name)") {
            try await self.line(.output) { Report(line: $0).flatMap(pick) != nil }
        }
        guard let value = Report(line: line).flatMap(pick) else { throw LLMgineError(.badPayload, "\(name) said \(line)") }
        return value
    }
}

/// Runs something that may take too long. - Throws: `deadlineExceeded`, saying what was awaited.
func patiently<Value: Sendable>(
    _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value?.self) { tasks in
        tasks.addTask { try await body() }
        tasks.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { tasks.cancelAll() }
        guard let value = try await tasks.next() ?? nil else {
            throw LLMgineError(.deadlineExceeded, "waited \(limit) for \(what) in vain")
        }
        return value
    }
}
