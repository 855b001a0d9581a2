import AsyncHTTPClient
import LLMgineOTLP
public import LLMgineObservability
public import Logging
import NIOCore
public import ServiceLifecycle
import Synchronization

/// Sends the spans and metrics of one node to an OTLP receiver, over HTTP with protobuf.
///
/// Nobody waits for it: while no receiver answers, spans fill their queue and are then dropped and counted. Its own requests are not traced.
/// Run it as a service, and last to stop, so that it sends what the others leave.
public final class OTLPExporter: Service {
    /// What `User-Agent` and the resource say of this library.
    public static let version = "0.1.0"

    /// Where telemetry goes and how.
    package let configuration: OTLPConfiguration
    let observability: ObservabilityManager
    let envelope: OTLP.Envelope
    let complaints: Complaints
    private let userAgent: String

    struct Control {
        var isStopping = false
        var wantsFlush = false
    }
    let control = Mutex(Control())
    let spanBell = Doorbell()
    let metricBell = Doorbell()
    private let stopBell = Doorbell()
    /// How far the export of spans has come.
    package let progress = ExportProgress()

    /// Makes an exporter; nothing is sent before ``run()``.
    /// - Parameters:
    ///   - configuration: where telemetry goes and how.
    ///   - observability: the node's; its tracer is switched on while the exporter runs.
    ///   - node: the name of the node: `service.instance.id` and `llmgine.node` of the resource.
    ///   - version: the version of the application, for `service.version`.
    ///   - logger: told when exporting begins to fail and when it works again.
    public init(
        _ configuration: OTLPConfiguration, observability: ObservabilityManager, node: String, version: String? = nil, logger: Logger
    ) {
        self.configuration = configuration
        self.observability = observability
        complaints = Complaints(logger: logger)
        userAgent = "OTel-OTLP-Exporter-Swift/\(Self.version)"
        let resource = configuration.resource(node: node, version: version, exporter: Self.version)
        envelope = OTLP.Envelope(resource: resource, scope: OTLP.Scope(name: "llmgine", version: Self.version))
    }

    /// Exports until a graceful shutdown or ``stop()``, sends what is left for at most the flush limit, and returns. A cancelled task returns at once.
    /// - Throws: what is wrong with the certificates that the configuration names.
    public func run() async throws {
        for warning in configuration.warnings { complaints.warn(warning) }
        try await withGracefulShutdownHandler {
            if configuration.isDisabled { await stopBell.rung() } else { try await export() }
        } onGracefulShutdown: {
            self.stop()
        }
    }

    private func export() async throws {
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: clientConfiguration)
        do {
            let traces = try OTLPSender(client: client, signal: configuration.traces, userAgent: userAgent)
            let metrics = try OTLPSender(client: client, signal: configuration.metrics, userAgent: userAgent)
            attach()
            await work(traces: traces, metrics: metrics)
            detach()
        } catch {
            try? await client.shutdown()
            throw error
        }
        try? await client.shutdown()
    }

    /// Ends ``run()`` as a graceful shutdown does.
    public func stop() {
        control.withLock { $0.isStopping = true }
        spanBell.ring()
        metricBell.ring()
        stopBell.ring()
    }

    /// Has everything that waits sent now.
    public func flush() {
        control.withLock { $0.wantsFlush = true }
        spanBell.ring()
        metricBell.ring()
    }

    /// Runs both signals until they are done, or until the flush limit has passed after a stop.
    private func work(traces: OTLPSender, metrics: OTLPSender) async {
        await withTaskGroup(of: Bool.self) { group in
            var working = 0
            if configuration.traces.isEnabled {
                working += 1
                group.addTask {
                    await self.exportSpans(through: traces)
                    return true
                }
            }
            if configuration.metrics.isEnabled {
                working += 1
                group.addTask {
                    await self.exportMetrics(through: metrics)
                    return true
                }
            }
            let limit = working > 0 ? configuration.flushLimit : .zero
            group.addTask {
                await self.stopBell.rung()
                try? await Task.sleep(for: limit)
                return false
            }
            for await isDone in group {
                working -= isDone ? 1 : 0
                if !isDone || working == 0 { group.cancelAll() }
            }
        }
    }

    private func attach() {
        guard configuration.traces.isEnabled else { return }
        let recorder = observability.tracer.recorder
        recorder.setCapacity(configuration.maximumQueueSize)
        recorder.onBatch(of: configuration.limits.batch) { [spanBell] in spanBell.ring() }
        observability.tracer.setEnabled(true)
    }

    private func detach() {
        observability.tracer.setEnabled(false)
        observability.tracer.recorder.onBatch(of: .max, wake: nil)
    }

    private var clientConfiguration: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.tracing.tracer = nil  // exports are not traced
        configuration.connectionPool.retryConnectionEstablishment = false  // when to try again is for the batcher to say
        configuration.timeout.connect = TimeAmount(min(self.configuration.traces.timeout, .seconds(10)))
        return configuration
    }
}
