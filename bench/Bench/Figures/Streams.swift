/// The ways to bring a stream of messages from a source process to a sink process, for P3, P5 and P6.
struct Streams: Sendable {
    let laboratory: Laboratory
    /// Running for the whole figure; nil when NATS is missing.
    let nats: NATSServers?

    /// What one more subscriber, who takes nothing, is like.
    enum Frozen: String, Sendable {
        case none
        /// Its handler never returns, its subscription drops the oldest.
        case dropOldest = "drop-oldest"
        /// Its handler never returns, its subscription is the default, `.block`, with a deadline that passes before it is measured.
        case block
    }

    /// Our nodes: the sink on node b subscribes so many times, the source on node a publishes.
    func ours(subscribers: Int) async throws -> Reading {
        try await ours(subscribers: subscribers, seconds: laboratory.seconds)
    }

    /// The same while one more subscriber comes and goes: `free` and `frozen` are the rates without it and with it, `loss` the per cent between them.
    func ours(subscribers: Int, frozen: Frozen) async throws -> Reading {
        let pairs = laboratory.quick ? 2 : 4
        return try await ours(
            subscribers: subscribers, seconds: ComingAndGoing.seconds(pairs: pairs) + 1,
            options: ["--frozen", frozen.rawValue, "--pairs", "\(pairs)"])
    }

    private func ours(subscribers: Int, seconds: Double, options: [String] = []) async throws -> Reading {
        let sink = try await laboratory.bench(
            ["node-sink", "--certs", laboratory.certificates("b"), "--subscribers", "\(subscribers)"] + options)
        defer { sink.end() }
        guard let address = try await sink.line("ready", within: .seconds(20))["address"] else {
            throw BenchError("the sink gave no address")
        }
        let source = try await laboratory.bench([
            "node-source", "--certs", laboratory.certificates("a"), "--seed", address, "--seconds", "\(seconds)",
        ])
        defer { source.end() }
        let limit = Duration.seconds(seconds + 60)
        return try await Reading(
            sink: sink.line("result", within: limit), source: source.line("result", within: limit), subscribers: subscribers)
    }

    /// NATS: the source at the first server, the sink at the second or, without the route, at the first.
    func nats(subscribers: Int, route: Bool, clients: NATSServers.Clients, isFrozen: Bool = false) async throws -> Reading {
        guard let nats else { throw BenchError(laboratory.missingNATS ?? "NATS is not running") }
        let sinks = nats.arguments(behindRoute: route, clients: clients, in: laboratory)
        let sink = try await laboratory.nats("nats_sub", sinks + ["\(subscribers)"])
        defer { sink.end() }
        _ = try await sink.line("ready", within: .seconds(20))
        let icicle = isFrozen ? try await laboratory.nats("nats_sub", sinks + ["1"]) : nil
        defer { icicle?.end() }
        if let icicle {
            _ = try await icicle.line("ready", within: .seconds(20))
            icicle.freeze()
        }
        // What the server keeps for the frozen one, 64 MiB, is filled before the measuring starts.
        let warmUp = isFrozen ? "450000" : "20000"
        let source = try await laboratory.nats(
            "nats_pub", nats.arguments(behindRoute: false, clients: clients, in: laboratory) + [warmUp, "\(laboratory.seconds)"])
        defer { source.end() }
        return try await Reading(sink: sink.line("result"), source: source.line("result", within: .seconds(90)), subscribers: subscribers)
    }

    /// The NATS contenders of a throughput figure.
    func natsContenders(subscribers: Int) -> [Contender] {
        [
            .peer(Streams.route) { try await nats(subscribers: subscribers, route: true, clients: .tls) },
            .peer(Streams.plainRoute) { try await nats(subscribers: subscribers, route: true, clients: .plain) },
            .peer("NATS one server") { try await nats(subscribers: subscribers, route: false, clients: .tls) },
        ]
    }

    static let route = "NATS across a route"
    static let plainRoute = "NATS across a route, plain clients"

    /// Frames of the same size over one TLS connection, nothing else.
    func bare() async throws -> Reading {
        let certificates = laboratory.certificates("c")
        let sink = try await laboratory.bench(["peer", "tls-sink", "--certs", certificates])
        defer { sink.end() }
        guard let port = try await sink.line("ready", within: .seconds(20))["port"] else { throw BenchError("the sink gave no port") }
        let source = try await laboratory.bench([
            "peer", "tls-source", "--certs", certificates, "--port", port, "--seconds", "\(laboratory.seconds)",
        ])
        defer { source.end() }
        return try await Reading(sink: sink.line("result"), source: source.line("result"))
    }
}

extension Laboratory {
    /// Measures with the two NATS servers running, if they can.
    func withNATS<Result>(_ body: (NATSServers?) async throws -> Result) async throws -> Result {
        guard missingNATS == nil else { return try await body(nil) }
        let servers = try await NATSServers(in: self)
        defer { servers.end() }
        return try await body(servers)
    }

    /// The contenders, without those that need NATS when it is missing.
    func available(_ contenders: [Contender], nats: [Contender]) -> [Contender] { missingNATS == nil ? contenders + nats : contenders }
}

extension Measured {
    /// NATS across a route at its best, with or without TLS between clients and servers: what we are judged by.
    func bestRoute(_ key: String, _ best: (Double, Double) -> Double) -> Double? {
        guard let one = self[Streams.route]?.median(key), let other = self[Streams.plainRoute]?.median(key) else { return nil }
        return best(one, other)
    }
}
