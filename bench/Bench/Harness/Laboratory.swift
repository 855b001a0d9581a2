import Foundation

/// What a figure needs to know about this run: where things are, how long and how often to measure.
struct Laboratory: Sendable {
    /// Where `bench/run` put certificates, the compiled peers and nats-server.
    let directory: URL
    /// Takes what the processes log, `processes.log` of the directory.
    let log: FileHandle
    /// Shorter rounds, fewer of them.
    let quick: Bool
    /// How often each contender is measured.
    let rounds: Int
    /// Leaves our own side out.
    let peersOnly: Bool
    /// What random troubles are drawn from.
    let seed: UInt64
    /// Why NATS cannot be measured, nil if it can.
    let missingNATS: String?

    /// How long one throughput measurement publishes, in seconds.
    var seconds: Double { quick ? 1.5 : 4 }

    /// The directory of a node's `ca.pem`, `node.pem` and `node.key`.
    func certificates(_ node: String) -> String { directory.appending(path: "certs/\(node)").path }

    /// A subcommand of this executable as a process of its own.
    func bench(_ arguments: [String]) async throws -> Child {
        try await Child(Command(URL(filePath: "/proc/self/exe").resolvingSymlinksInPath(), arguments), errors: log)
    }

    /// One of the C programs of `bench/peers`.
    func nats(_ program: String, _ arguments: [String]) async throws -> Child {
        try await Child(Command(directory.appending(path: program), arguments), errors: log)
    }

    /// Runs a subcommand that measures on its own and ends with one `result` line.
    func reading(_ arguments: String...) async throws -> Reading { try await reading(arguments) }

    /// Runs a subcommand that measures on its own and ends with one `result` line.
    func reading(_ arguments: [String], within limit: Duration = .seconds(120)) async throws -> Reading {
        let child = try await bench(arguments)
        defer { child.end() }
        return try Reading(await child.line("result", within: limit))
    }
}

/// What one measurement of one contender brought.
struct Reading: Sendable {
    /// Numbers by name: `rate` in events a second; `p50`, `p99` in microseconds; and others.
    var values: [String: Double] = [:]
    /// Events that were published and never arrived.
    var lost = 0

    init(values: [String: Double], lost: Int = 0) {
        self.values = values
        self.lost = lost
    }

    init(_ line: Line) throws {
        for key in line.fields.keys where key != "lost" { values[key] = try line.number(key) }
        if line["lost"] != nil { lost = Int(try line.number("lost")) }
    }

    /// Throughput of a sink, given what its source said it had sent to each of `subscribers`.
    init(sink: Line, source: Line, subscribers: Int = 1) throws {
        let received = try sink.number("received")
        let seconds = try sink.number("seconds")
        guard seconds > 0 else { throw BenchError("nothing arrived") }
        values["rate"] = received / seconds
        for key in sink.fields.keys where key != "received" && key != "seconds" { values[key] = try sink.number(key) }
        lost = Int(try source.number("sent") * Double(subscribers) - received)
    }
}
