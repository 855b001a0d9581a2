import LLMgineCore
package import LLMgineJournal
package import LLMgineLLM
package import LLMgineNode
package import LLMgineOTLPExporter
import LLMgineObservability
import LLMgineProviders
package import LLMgineStore
import LLMgineTransport
package import Logging

extension NodeSettings {
    /// What the node is made with, with the name and the cluster of its certificate.
    package func nodeConfiguration(_ verified: Verified) -> NodeConfiguration {
        NodeConfiguration(
            name: verified.identity.node, cluster: verified.identity.cluster, listen: node.listen.isEmpty ? nil : node.listen,
            advertise: node.advertise.isEmpty ? nil : node.advertise, seeds: node.seeds, certificates: .directory(certificates.directory),
            roles: node.roles, zone: node.zone, stopDeadline: limits.stopDeadline, maximumPayload: limits.maximumPayload,
            memoryBudget: limits.memoryBudget, permissions: permissions, certificateCheck: certificates.check,
            compression: links.compression,
            spillDirectory: limits.spillDirectory.isEmpty ? nil : limits.spillDirectory, maximumSpill: limits.spill,
            suspectAfter: links.suspectAfter)
    }

    /// Opens the store, if there is to be one. - Throws: `storageFailed`, naming the key and the file.
    package func openStore(logger: Logger) throws(LLMgineError) -> SQLiteStore? {
        guard !store.path.isEmpty else { return nil }
        do throws(LLMgineError) { return try SQLiteStore(path: store.path, logger: logger) } catch {
            throw LLMgineError(error.code, "store.path: \(error.detail)", cause: error.cause)
        }
    }

    /// Opens the journal, if there is to be one. - Throws: `storageFailed`, naming the key and the directory.
    package func openJournal(logger: Logger) throws(LLMgineError) -> FileJournal? {
        guard !journal.path.isEmpty else { return nil }
        let options = FileJournal.Options(maximumBytes: journal.maximumBytes, retention: journal.retention)
        do throws(LLMgineError) { return try FileJournal(path: journal.path, options: options, logger: logger) } catch {
            throw LLMgineError(error.code, "journal.path: \(error.detail)", cause: error.cause)
        }
    }

    /// Whether the node runs LLM calls.
    package var isWorker: Bool { node.roles.contains("worker") && worker.slots > 0 }

    /// What the node offers as a worker. - Throws: `invalidConfiguration`, naming the key or the variable.
    package func providers(environment: [String: String]) throws(LLMgineError) -> [any LLMProvider] {
        if worker.providers.isEmpty { return try ProviderRegistry.standard(environment: environment).providers }
        var providers: [any LLMProvider] = []
        for name in worker.providers {
            switch name {
            case "embedded": providers.append(EmbeddedProvider())
            default:
                guard let provider = try OpenAICompatibleProvider(environment: environment) else {
                    throw LLMgineError(
                        .invalidConfiguration, "worker.providers: openai needs OPENAI_API_KEY or OPENAI_BASE_URL in the environment")
                }
                providers.append(provider)
            }
        }
        return providers
    }

    /// Where telemetry goes: what the settings say, else OpenTelemetry's environment variables. Nil if neither names a receiver.
    /// - Throws: `invalidConfiguration` if the settings name one that cannot be.
    package func telemetry(environment: [String: String]) throws(LLMgineError) -> OTLPConfiguration? {
        let configuration = try telemetryConfiguration(environment: environment)
        return configuration.isEndpointGiven && !configuration.isDisabled ? configuration : nil
    }

    /// The same, also where there is no receiver, with what is wrong with the variables. - Throws: as ``telemetry(environment:)``.
    package func telemetryConfiguration(environment: [String: String]) throws(LLMgineError) -> OTLPConfiguration {
        var environment = environment
        if !telemetry.endpoint.isEmpty {
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = telemetry.endpoint
            environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = nil
            environment["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = nil
        }
        var configuration = OTLPConfiguration(environment: environment)
        // The parser reads variables, and one that cannot be used is a warning to it. A setting that cannot be used is an error.
        guard telemetry.endpoint.isEmpty || configuration.isEndpointGiven else {
            throw LLMgineError(
                .invalidConfiguration,
                "telemetry.endpoint: is \"\(telemetry.endpoint.printable)\", expected a URL with a host, as http://host:4318")
        }
        if telemetry.samplingRatio < 1 { configuration.sampler = Sampler(ratio: telemetry.samplingRatio) }
        return configuration
    }
}
