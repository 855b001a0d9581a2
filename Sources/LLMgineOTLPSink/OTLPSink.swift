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
        var listening = Listening.notYet([])
        var faults: [Fault] = []
        var watchers: [Watcher] = []
        var held: [CheckedContinuation<Void, Never>] = []
        var isStopping = false
    }

    enum Listening {
        case notYet([CheckedContinuation<Int, any Error>])
        case on(port: Int)
        case over(any Error)
    }

    struct Watcher {
        let isDone: @Sendable (SinkSummary) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    private let host: String
    private let requestedPort: Int
    private let logger: Logger
    let state = Mutex(State())

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
        do {
            try await withGracefulShutdownHandler {
                try await application.run()
            } onGracefulShutdown: {
                self.release(forGood: true)
            }
            ended(with: CancellationError())
        } catch {
            ended(with: error)
            throw error
        }
    }

    /// The port that it listens on, as soon as it does.
    /// - Throws: what ``run()`` threw, or `CancellationError` if the sink has ended.
    public func port() async throws -> Int {
        try await withCheckedThrowingContinuation { continuation in
            let known = state.withLock { state -> Result<Int, any Error>? in
                switch state.listening {
                case .notYet(let waiters):
                    state.listening = .notYet(waiters + [continuation])
                    return nil
                case .on(let port): return .success(port)
                case .over(let error): return .failure(error)
                }
            }
            if let known { continuation.resume(with: known) }
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
        for waiter in turned(.on(port: port)) { waiter.resume(returning: port) }
    }

    private func ended(with error: any Error) {
        for waiter in turned(.over(error)) { waiter.resume(throwing: error) }
    }

    /// Enters what became of listening. - Returns: who waited for it.
    private func turned(_ listening: Listening) -> [CheckedContinuation<Int, any Error>] {
        state.withLock { state in
            defer { state.listening = listening }
            guard case .notYet(let waiters) = state.listening else { return [] }
            return waiters
        }
    }
}
