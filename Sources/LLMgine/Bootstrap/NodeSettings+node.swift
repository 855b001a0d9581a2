import LLMgineCore
package import LLMgineNode
import LLMgineObservability
package import LLMgineOTLPExporter
import LLMgineTransport

extension NodeSettings {
    /// What the node is made with, with the name and the cluster of its certificate.
    package func nodeConfiguration(_ verified: Verified) -> NodeConfiguration {
        NodeConfiguration(
            name: verified.identity.node, cluster: verified.identity.cluster, listen: node.listen.isEmpty ? nil : node.listen,
            advertise: node.advertise.isEmpty ? nil : node.advertise, seeds: node.seeds, certificates: .directory(certificates.directory),
            roles: node.roles, zone: node.zone, stopDeadline: limits.stopDeadline, maximumPayload: limits.maximumPayload)
    }

    /// Where telemetry goes: what the settings say, else OpenTelemetry's environment variables. Nil if neither names a receiver.
    package func telemetry(environment: [String: String]) -> OTLPConfiguration? {
        var environment = environment
        if !telemetry.endpoint.isEmpty {
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = telemetry.endpoint
            environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = nil
            environment["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = nil
        }
        var configuration = OTLPConfiguration(environment: environment)
        if telemetry.samplingRatio < 1 { configuration.sampler = Sampler(ratio: telemetry.samplingRatio) }
        return configuration.isEndpointGiven && !configuration.isDisabled ? configuration : nil
    }
}
