import Foundation
import LLMgineCore
import LLMgineTestKit

/// One machine with a cluster of its own: certificates in a directory that goes with it, and processes that it started.
final class Machine: Sendable {
    let directory: String

    /// Makes an authority and a certificate for each name, with the command line.
    init(nodes: String...) async throws {
        directory = NSTemporaryDirectory() + "llmgine-machine-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try await succeed("certs", "init", "--cluster", "test", "--directory", path("ca"))
        for node in nodes { try await succeed("certs", "issue", node, "--authority", path("ca"), "--directory", path(node)) }
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// A program of the build that the tests belong to.
    static func program(_ name: String) -> String {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(path: name).path
    }

    /// Nothing of our environment gets through that could change what a program does.
    private static let environment: [String: String?] = Dictionary(
        uniqueKeysWithValues: ProcessInfo.processInfo.environment.keys.filter {
            $0.hasPrefix("LLMGINE_") || $0.hasPrefix("OTEL_") || $0.hasPrefix("OPENAI_")
        }
        .map { ($0, nil) })

    /// Starts `llmgine` with arguments.
    func start(_ arguments: String..., input: String? = nil) throws -> ChildProcess {
        let child = try ChildProcess(
            "llmgine \(arguments.prefix(2).joined(separator: " "))", executable: Machine.program("llmgine"), arguments: arguments,
            environment: Machine.environment)
        if let input {
            try child.write(input)
            child.endInput()
        }
        return child
    }

    /// Starts a node on a free port and waits until it listens.
    func node(_ name: String, certificates: String? = nil, _ settings: String...) async throws -> RunningNode {
        try await node(name, certificates: certificates, environment: [:], settings)
    }

    /// The same with variables in its environment.
    func node(
        _ name: String, certificates: String? = nil, environment: [String: String], _ settings: [String]
    ) async throws -> RunningNode {
        let own = ["certificates.directory=\(certificates ?? path(name))", "node.listen=127.0.0.1:0"]
        let child = try ChildProcess(
            "node \(name)", executable: Machine.program("llmgine"),
            arguments: ["node", "--until-input-ends"] + (own + settings).flatMap { ["--set", $0] },
            environment: Machine.environment.merging(environment.mapValues(Optional.some)) { $1 })
        let line = try await child.line(.error, containing: "listening")
        guard let address = line.split(separator: " ").first(where: { $0.hasPrefix("address=") })?.dropFirst("address=".count) else {
            throw LLMgineError(.badPayload, "no address in \(line)")
        }
        return RunningNode(child: child, address: String(address))
    }

    /// Runs `llmgine` to its end.
    func run(_ arguments: String..., input: String? = nil) async throws -> Finished { try await run(arguments, input: input) }

    /// The same with a list of arguments.
    func run(_ arguments: [String], input: String? = nil, environment: [String: String] = [:]) async throws -> Finished {
        let child = try ChildProcess(
            "llmgine \(arguments.prefix(2).joined(separator: " "))", executable: Machine.program("llmgine"), arguments: arguments,
            environment: Machine.environment.merging(environment.mapValues(Optional.some)) { $1 })
        if let input { try child.write(input) }
        child.endInput()
        return await Finished(child)
    }

    private func succeed(_ arguments: String...) async throws {
        let child = try ChildProcess("llmgine certs", executable: Machine.program("llmgine"), arguments: arguments)
        let finished = await Finished(child)
        guard finished.ending == .code(0) else { throw LLMgineError(.invalidArgument, "\(arguments): \(finished.errors)") }
    }
}

/// A node that runs in a process of its own.
struct RunningNode: Sendable {
    let child: ChildProcess
    let address: String

    /// Waits for a line of its log with all of these parts.
    @discardableResult
    func logged(_ parts: String..., from: Int = 0) async throws -> String {
        try await child.line(.error, from: from) { line in parts.allSatisfy { line.contains($0) } }
    }
}

/// What a process left.
struct Finished: Sendable {
    let ending: ChildProcess.Ending
    let output: [String]
    let errors: [String]

    init(_ child: ChildProcess) async {
        ending = await child.exit()
        output = await child.all(.output)
        errors = await child.all(.error)
    }
}
