import Foundation
import LLMgine
import NIOCore
import NIOPosix
import Synchronization

/// Where the demo takes place: its ports, certificates, settings and logs.
struct Stage {
    /// Below `cluster/.run`, one for each set of ports, so that two demos do not disturb each other.
    let directory: String
    /// Of A, B and C.
    let ports: [Int]
    /// Nil if the environment names a receiver of telemetry.
    let sinkPort: Int?

    private static let root = "cluster/.run"
    private static let usualPorts = [7400, 7401, 7402]
    private static let usualSinkPort = 4318

    /// Finds ports, and writes certificates and settings.
    static func set() async throws -> Stage {
        var ports = usualPorts
        if await !areFree(ports) {
            ports = try await freePorts(3)
            progress(
                "something listens on one of the ports \(usualPorts.map(String.init).joined(separator: ", ")) already: taking \(ports.map(String.init).joined(separator: ", "))"
            )
        }
        var sinkPort: Int?
        if (ProcessInfo.processInfo.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "").isEmpty {
            sinkPort = await areFree([usualSinkPort]) ? usualSinkPort : try await freePorts(1)[0]
        }
        let directory = ports == usualPorts ? root : "\(root)/\(ports[0])"
        let stage = Stage(directory: directory, ports: ports, sinkPort: sinkPort)
        try stage.writeCertificates()
        try stage.writeSettings()
        try FileManager.default.createDirectory(atPath: "\(directory)/logs", withIntermediateDirectories: true)
        return stage
    }

    /// The settings that a node is started with.
    func settings(_ node: String) -> String { "\(directory)/nodes/\(node).yaml" }

    /// The log of a process: what it says on standard error.
    func log(_ name: String) -> LogFile { LogFile(path: "\(directory)/logs/\(name).log") }

    /// What the processes find in their environment beside our own.
    var environment: [String: String?] {
        // Twice a second, so that what a killed node had done is known before it is killed.
        var variables: [String: String?] = ["OTEL_BSP_SCHEDULE_DELAY": "500"]
        if let sinkPort { variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:\(sinkPort)" }
        return variables
    }

    /// Leaves nothing behind on ports that no one will ask about again; what is on the usual ones stays to be looked at.
    func clear() {
        if directory != Stage.root { try? FileManager.default.removeItem(atPath: directory) }
    }

    private func writeCertificates() throws {
        let authority = try CertificateAuthority(cluster: "demo")
        try authority.save(to: "\(directory)/certs", force: true)
        for node in ["a", "b", "c", "cli"] { try authority.issue(try NodeID(node)).save(to: "\(directory)/certs/\(node)", force: true) }
    }

    /// The files of `cluster/nodes` with the ports and the directory in use.
    private func writeSettings() throws {
        try FileManager.default.createDirectory(atPath: "\(directory)/nodes", withIntermediateDirectories: true)
        for node in ["a", "b", "c"] {
            var text = String(decoding: try Data(contentsOf: URL(filePath: "cluster/nodes/\(node).yaml")), as: UTF8.self)
            for (usual, port) in zip(Stage.usualPorts, ports) where usual != port {
                text.replace("127.0.0.1:\(usual)", with: "127.0.0.1:\(port)")
            }
            text.replace("\(Stage.root)/certs", with: "\(directory)/certs")
            try text.write(toFile: settings(node), atomically: true, encoding: .utf8)
        }
    }

    private static func areFree(_ ports: [Int]) async -> Bool {
        for port in ports {
            guard let channel = try? await bind(port) else { return false }
            try? await channel.close()
        }
        return true
    }

    /// Held all at once, so that they differ.
    static func freePorts(_ count: Int) async throws -> [Int] {
        var channels: [any NIOCore.Channel] = []
        for _ in 0..<count { channels.append(try await bind(0)) }
        let ports = channels.compactMap { $0.localAddress?.port }
        for channel in channels { try await channel.close() }
        return ports
    }

    private static func bind(_ port: Int) async throws -> any NIOCore.Channel {
        try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: port).get()
    }
}

/// A file that lines are added to.
final class LogFile: Sendable {
    private let file: Mutex<FileHandle?>

    /// Begins the file anew, unless this run has begun it.
    init(path: String) {
        let isNew = LogFile.begun.withLock { $0.insert(path).inserted }
        if isNew || !FileManager.default.fileExists(atPath: path) { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        let handle = FileHandle(forWritingAtPath: path)
        _ = try? handle?.seekToEnd()
        file = Mutex(handle)
    }

    private static let begun = Mutex<Set<String>>([])

    func write(_ line: String) { file.withLock { try? $0?.write(contentsOf: Data((line + "\n").utf8)) } }
}
