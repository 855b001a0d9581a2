public import LLMgineCore
public import LLMgineLLM
public import LLMgineNode
import LLMgineOTLPExporter
import LLMgineObservability
public import LLMgineStore
public import LLMgineWorkers
public import Logging
import ServiceLifecycle
import UnixSignals

import class FoundationEssentials.ProcessInfo

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// An application around a node: settings become a node, its telemetry and its workers, which stop in the reverse order of their start.
///
/// ```swift
/// let application = try await ApplicationBootstrap(settings: NodeSettings.load(file: "node.yaml").settings)
/// try await application.node.bus.subscribe("orders.>") { (order: OrderPlaced, context) in ... }
/// try await application.run()
/// ```
public final class ApplicationBootstrap: Sendable {
    /// What the application was made with.
    public let settings: NodeSettings
    /// The node, which works from here on.
    public let node: Node
    /// The logger of the application, as the settings ask for it.
    public let logger: Logger
    /// What the node offers to the cluster, if it is a worker.
    public let worker: LLMWorker?
    /// What outlives the process, if the settings name a file for it.
    public let store: SQLiteStore?
    /// Where durable events are written; nil without one.
    public let journal: FileJournal?
    private let exporter: OTLPExporter?
    private let signals: UnixSignalsSequence

    /// Checks the settings, starts the node and returns once it has joined the cluster, or after 2 s without. It dials on in that case.
    ///
    /// From here on SIGTERM, SIGINT and SIGHUP wait for ``run(_:)``, so that a signal during the start stops the node as cleanly as a later one.
    /// - Parameters:
    ///   - settings: what an operator decided, as ``NodeSettings/load(file:environment:flags:)`` reads it.
    ///   - providers: what a worker offers; nil for what the settings name. Whether the node is a worker is for the settings to say.
    ///   - environment: where OpenTelemetry's and the providers' variables are looked up; nil for that of the process.
    ///   - logger: where log lines go; nil for standard error in the format of the settings.
    /// - Throws: `invalidConfiguration`, `tlsFailure` or `identityRefused`, naming key or file; `storageFailed` if store or journal cannot be opened;
    ///   `connectionClosed` if the port is taken.
    public init(
        settings: NodeSettings, providers: [any LLMProvider]? = nil, environment: [String: String]? = nil, logger: Logger? = nil
    ) async throws(LLMgineError) {
        let environment = environment ?? ProcessInfo.processInfo.environment
        let verified = try settings.verify(environment: environment, hasOwnProviders: providers != nil)
        let telemetry = try settings.telemetry(environment: environment)
        let offer = settings.isWorker ? providers ?? verified.providers : []
        var configuration = settings.nodeConfiguration(verified)
        let logger = logger ?? Logger(label: "llmgine", factory: { NodeLogHandler(label: $0, settings: settings.log) })
        let store = try settings.openStore(logger: logger)
        configuration.store = store
        let journal: FileJournal?
        do throws(LLMgineError) { journal = try settings.openJournal(logger: logger) } catch {
            await store?.close()
            throw error
        }
        configuration.journal = journal
        signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let observability = ObservabilityManager(tracer: NodeTracer(sampler: telemetry?.sampler ?? .alwaysOff))
        if settings.telemetry.console { observability.registerHandler(ConsoleHandler()) }
        exporter = telemetry.map { OTLPExporter($0, observability: observability, node: configuration.name.name, logger: logger) }
        let node: Node
        do throws(LLMgineError) {
            node = try await Node(configuration: configuration, observability: observability, logger: logger)
        } catch {
            await store?.close()
            await journal?.close()
            throw error
        }
        do throws(LLMgineError) {
            if settings.store.logEvents { try await store?.logEvents(of: node.bus) }
            worker = offer.isEmpty ? nil : try await LLMWorker(providers: offer, slots: settings.worker.slots, on: node.bus, logger: logger)
        } catch {
            await node.stop(deadline: .zero)
            await store?.close()
            await journal?.close()
            throw error
        }
        if let worker, !node.peers.isEmpty {
            do throws(LLMgineError) {
                try await worker.established()
                logger.info("offers are known", metadata: ["peers": "\(node.peers.count)"])
            } catch {
                logger.warning("offers are not known everywhere yet", metadata: ["error": "\(error)"])
            }
        }
        self.node = node
        self.store = store
        self.journal = journal
        self.settings = settings
        self.logger = logger
    }

    /// Runs until SIGTERM or SIGINT, or until the work is done, and stops: no new work, what runs may end until the stop deadline, telemetry
    /// last. A second signal ends the process at once, with the exit code that shells give it (128 + the signal's number).
    ///
    /// What an earlier life left in the store is taken up first (``MessageBus/resume()``), so subscribe before.
    /// - Parameter work: what the application does beside its subscriptions, cancelled at the signal. Nil to only serve.
    /// - Throws: what the work throws, after the stop.
    public func run(_ work: (@Sendable () async throws -> Void)? = nil) async throws {
        await node.bus.resume()
        do { try await serve(work) } catch {
            await store?.close()
            await journal?.close()
            throw error
        }
        await store?.close()
        await journal?.close()
    }

    private func serve(_ work: (@Sendable () async throws -> Void)?) async throws {
        var services: [any Service] = []
        if let exporter { services.append(exporter) }
        services.append(node)
        if let work { services.append(Work(body: work)) }
        var quiet = logger
        quiet.logLevel = .error
        let configured = services.map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0, successTerminationBehavior: .gracefullyShutdownGroup, failureTerminationBehavior: .gracefullyShutdownGroup)
        }
        let group = ServiceGroup(configuration: ServiceGroupConfiguration(services: configured, logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { [logger, signals, node] tasks in
            tasks.addTask { await ApplicationBootstrap.heed(signals, group, node, logger) }
            defer { tasks.cancelAll() }
            try await group.run()
        }
    }

    /// The first signal asks, the second insists. SIGHUP has the certificates read again.
    private static func heed(_ signals: UnixSignalsSequence, _ group: ServiceGroup, _ node: Node, _ logger: Logger) async {
        var isStopping = false
        for await signal in signals {
            if signal == .sighup {
                do throws(LLMgineError) { try node.reloadCertificates() } catch {
                    logger.error("the certificate files cannot be used; the old ones stay", metadata: ["error": "\(error.detail)"])
                }
                continue
            }
            if isStopping {
                logger.warning("forced to stop", metadata: ["signal": "\(signal)"])
                _exit(128 + signal.rawValue)
            }
            isStopping = true
            logger.info("stopping", metadata: ["signal": "\(signal)"])
            await group.triggerGracefulShutdown()
        }
    }

    /// The application's own part, as a service.
    private struct Work: Service {
        let body: @Sendable () async throws -> Void

        func run() async throws {
            try await cancelWhenGracefulShutdown {
                do {
                    try await body()
                } catch  where Task.isCancelled {
                    // It was told to stop, so how it did is not an error.
                }
            }
        }
    }
}
