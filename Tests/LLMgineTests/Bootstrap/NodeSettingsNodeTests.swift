import LLMgine
import LLMgineOTLPExporter
import Testing

@Suite struct `A node made from settings` {
    private let environment = [
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:1/v1/traces",
    ]

    @Test func `has the name and cluster of its certificate and what the settings say`() throws {
        var settings = NodeSettings()
        settings.node.listen = ""
        settings.node.seeds = ["s:1"]
        settings.node.roles = ["worker"]
        settings.certificates.directory = "certs/a"
        settings.limits.maximumPayload = 4096
        settings.limits.memoryBudget = 64 << 20
        settings.limits.stopDeadline = .seconds(3)
        settings.links.compression = .auto
        settings.links.suspectAfter = .seconds(8)
        settings.limits.spill = 1 << 20
        settings.limits.spillDirectory = "/var/spill"
        let verified = NodeSettings.Verified(identity: try NodeIdentity(cluster: "demo", node: "a"), expires: "", remarks: [])
        let configuration = settings.nodeConfiguration(verified)
        #expect(configuration.name == "a")
        #expect(configuration.cluster == "demo")
        #expect(configuration.listen == nil)
        #expect(configuration.advertise == nil)
        #expect(configuration.seeds == ["s:1"])
        #expect(configuration.roles == ["worker"])
        #expect(configuration.certificates == .directory("certs/a"))
        #expect(configuration.maximumPayload == 4096)
        #expect(configuration.memoryBudget == 64 << 20)
        #expect(configuration.stopDeadline == .seconds(3))
        #expect(configuration.compression == .auto)
        #expect(configuration.suspectAfter == .seconds(8))
        #expect((configuration.maximumSpill, configuration.spillDirectory) == (1 << 20, "/var/spill"))
    }

    @Test func `sends telemetry where the settings say, else where the environment says, else nowhere`() throws {
        var settings = NodeSettings()
        #expect(try settings.telemetry(environment: [:]) == nil)
        #expect(try settings.telemetry(environment: environment)?.traces.endpoint == "http://traces:1/v1/traces")
        settings.telemetry.endpoint = "http://here:4318"
        settings.telemetry.samplingRatio = 0.5
        let telemetry = try settings.telemetry(environment: environment)
        #expect(telemetry?.traces.endpoint == "http://here:4318/v1/traces")
        #expect(telemetry?.metrics.endpoint == "http://here:4318/v1/metrics")
        #expect(telemetry?.sampler == Sampler(ratio: 0.5))
        #expect(try settings.telemetry(environment: ["OTEL_SDK_DISABLED": "true"]) == nil)
    }

    @Test(arguments: ["http://", "http:///v1", "http://:4318", "https://a b"])
    func `sends no telemetry to what is no address, and says so`(endpoint: String) {
        var settings = NodeSettings()
        settings.telemetry.endpoint = endpoint
        let error = #expect(throws: LLMgineError(.invalidConfiguration, "")) { try settings.telemetry(environment: environment) }
        #expect(error?.detail == "telemetry.endpoint: is \"\(endpoint)\", expected a URL with a host, as http://host:4318")
    }

    @Test func `offers what the environment allows unless the settings name it`() throws {
        var settings = NodeSettings()
        #expect(!settings.isWorker)
        settings.node.roles = ["worker"]
        #expect(settings.isWorker)
        #expect(try settings.providers(environment: [:]).map(\.name) == ["embedded"])
        #expect(try settings.providers(environment: ["OPENAI_API_KEY": "k"]).map(\.name) == ["embedded", "openai"])
        settings.worker.providers = ["openai"]
        #expect(try settings.providers(environment: ["OPENAI_API_KEY": "k"]).map(\.name) == ["openai"])
        #expect(throws: LLMgineError(.invalidConfiguration, "")) { try settings.providers(environment: [:]) }
        settings.worker.slots = 0
        #expect(!settings.isWorker)
    }
}
