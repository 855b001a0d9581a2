import Hummingbird
package import LLMgineOTLP
public import Logging
import NIOCore
public import ServiceLifecycle
import Synchronization

/// A small OTLP/HTTP receiver: it counts what it gets, and tells which traces crossed nodes.
///
/// `POST /v1/traces`, `/v1/metrics` and `/v1/logs` take protobuf, plain or gzip; `GET /` answers with a ``SinkSummary`` as JSON. For demonstrations and tests,
/// in its own process or inside another; it keeps numbers and the newest spans, nothing on disk.
public final class OTLPSink: Service {
    /// The largest request that is taken, before and after decompression: 64 MiB.
    public static let maximumRequest = 64 * 1024 * 1024

    struct State {
        var ledger = SinkLedger()
        var port: Int?
        var faults: [Fault] = []
        var watchers: [Watcher] = []
        var held: [CheckedContinuation<Void, Never>] = []
        var isStopping = false
    }

    struct Watcher {
        let isDone: @Sendable (SinkSummary) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    private let host: String
    private let requestedPort: Int
    private let logger: Logger
    let state = Mutex(State())
    private let portWaiters = Mutex<[CheckedContinuation<Int, Never>]>([])

    /// Makes a sink; it listens once it runs.
    /// - Parameters:
    ///   - host: the address to listen on; by default this host only.
    ///   - port: the port; 0 for a free one, which ``port()`` tells.
    ///   - logger: by default one that says nothing below warnings.
    public init(host: String = "127.0.0.1", port: Int = 4318, logger: Logger? = nil) {
        self.host = host
        requestedPort = port
        var quiet = Logger(label: "llmgine.otlp-sink")
        quiet.logLevel = .warning
        self.logger = logger ?? quiet
    }

    /// Listens until a graceful shutdown or cancellation.
    /// - Throws: what the system says when the port cannot be had.
    public func run() async throws {
        let application = Application(
            router: router(), configuration: ApplicationConfiguration(address: .hostname(host, port: requestedPort)),
            onServerRunning: { channel in self.listens(on: channel.localAddress?.port ?? self.requestedPort) }, logger: logger)
        try await withGracefulShutdownHandler {
            try await application.run()
        } onGracefulShutdown: {
            self.release(forGood: true)
        }
    }

    /// The port that it listens on, as soon as it does.
    public func port() async -> Int {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Int? in
                if state.port == nil { portWaiters.withLock { $0.append(continuation) } }
                return state.port
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    /// What has been received so far.
    public var summary: SinkSummary { state.withLock { $0.ledger.summary } }

    /// Returns once the summary is as asked.
    public func received(_ isDone: @escaping @Sendable (SinkSummary) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isDoneNow = state.withLock { state in
                if isDone(state.ledger.summary) { return true }
                state.watchers.append(Watcher(isDone: isDone, continuation: continuation))
                return false
            }
            if isDoneNow { continuation.resume() }
        }
    }

    /// Returns once that many spans have been received in all.
    public func received(spans: Int) async { await received { $0.spans >= spans } }

    /// The newest spans, at most 2,048.
    package var recentSpans: [OTLP.Span] { state.withLock { $0.ledger.recent } }

    /// Changes the books and wakes those who waited for it.
    func enter(_ body: (inout SinkLedger) -> Void) {
        let done = state.withLock { state in
            body(&state.ledger)
            let summary = state.ledger.summary
            let done = state.watchers.filter { $0.isDone(summary) }
            if !done.isEmpty { state.watchers.removeAll { $0.isDone(summary) } }
            return done
        }
        for watcher in done { watcher.continuation.resume() }
    }

    private func listens(on port: Int) {
        let waiters = state.withLock { state in
            state.port = port
            return portWaiters.withLock { waiters in
                defer { waiters = [] }
                return waiters
            }
        }
        for waiter in waiters { waiter.resume(returning: port) }
    }
}
