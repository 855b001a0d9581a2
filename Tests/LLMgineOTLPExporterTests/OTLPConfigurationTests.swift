import LLMgineOTLP
import LLMgineOTLPExporter
import LLMgineObservability
import Testing

@Suite struct `Configuration from the environment` {
    @Test func `is the standard's default when nothing is set`() {
        for environment in [[:], ["OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SDK_DISABLED": " "]] as [[String: String]] {
            let configuration = OTLPConfiguration(environment: environment)
            #expect(configuration.traces.endpoint == "http://localhost:4318/v1/traces")
            #expect(configuration.metrics.endpoint == "http://localhost:4318/v1/metrics")
            #expect(configuration.traces.isEnabled && configuration.metrics.isEnabled && !configuration.isDisabled)
            #expect(configuration.scheduleDelay == .seconds(5) && configuration.exportTimeout == .seconds(30))
            #expect(configuration.maximumBatchSize == 512 && configuration.traces.timeout == .seconds(10))
            #expect(configuration.metricInterval == .seconds(60) && configuration.sampler == .parentBased)
            #expect(!configuration.isEndpointGiven && !configuration.traces.usesGzip && configuration.warnings == [])
        }
    }

    @Test func `adds the path to a base, and takes an endpoint of one signal as it is`() {
        let base = OTLPConfiguration(environment: ["OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318/otel"])
        #expect(base.traces.endpoint == "https://collector:4318/otel/v1/traces" && base.isEndpointGiven)
        #expect(OTLPConfiguration(endpoint: "http://h:1/").metrics.endpoint == "http://h:1/v1/metrics")
        let own = OTLPConfiguration(environment: [
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2/take",
        ])
        #expect(own.traces.endpoint == "http://b:2/take" && own.metrics.endpoint == "http://a:1/v1/metrics")
    }

    @Test func `lets a variable of one signal go before the general one`() {
        let configuration = OTLPConfiguration(environment: [
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2000",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "300", "OTEL_EXPORTER_OTLP_HEADERS": "a=1, b = %20x%C3%A9",
        ])
        #expect(configuration.traces.usesGzip && !configuration.metrics.usesGzip)
        #expect(configuration.traces.timeout == .milliseconds(300) && configuration.metrics.timeout == .seconds(2))
        #expect(configuration.traces.headers.map(\.name) == ["a", "b"] && configuration.traces.headers.map(\.value) == ["1", " xé"])
        #expect(configuration.warnings == [])
    }

    @Test func `reads batches, intervals, exporters and the sampler`() {
        let configuration = OTLPConfiguration(environment: [
            "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_BSP_EXPORT_TIMEOUT": "0", "OTEL_BSP_MAX_QUEUE_SIZE": "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5", "OTEL_SDK_DISABLED": "TRUE",
        ])
        #expect(configuration.scheduleDelay == .milliseconds(100) && configuration.exportTimeout == .seconds(86_400), "0 means no limit")
        #expect(
            configuration.maximumQueueSize == 100 && configuration.maximumBatchSize == 50 && configuration.metricInterval == .seconds(1))
        #expect(!configuration.metrics.isEnabled && configuration.traces.isEnabled && configuration.isDisabled)
        #expect(configuration.sampler == Sampler(ratio: 0.5, followsParent: false) && configuration.warnings == [])
    }

    @Test(arguments: [
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"), ("OTEL_BSP_SCHEDULE_DELAY", "-1"), ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999999999999999"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a b"), ("OTEL_EXPORTER_OTLP_HEADERS", "no-equals"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%f"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=%ff"), ("OTEL_RESOURCE_ATTRIBUTES", "=x"),
        ("OTEL_SDK_DISABLED", "yes"), ("OTEL_TRACES_EXPORTER", "zipkin,otlp"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_TRACES_SAMPLER", "sometimes"), ("OTEL_CONFIG_FILE", "/etc/otel.yaml"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1000000"),
    ])
    func `warns about what it cannot use, by name, and goes on`(name: String, value: String) {
        let configuration = OTLPConfiguration(environment: [name: value])
        #expect(configuration.warnings.count == 1 && configuration.warnings[0].hasPrefix("\(name): "))
        #expect(!configuration.warnings[0].contains("%"), "values may be secret")
        #expect(configuration.scheduleDelay == .seconds(5) && configuration.traces.headers.isEmpty)
        #expect(
            configuration.traces.endpoint == "http://localhost:4318/v1/traces" && !configuration.isDisabled
                && configuration.traces.isEnabled)
    }

    @Test func `warns about gRPC once per signal and speaks HTTP`() {
        #expect(OTLPConfiguration(environment: ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"]).warnings.count == 1)
    }

    @Test func `says who the node is`() {
        let configuration = OTLPConfiguration(environment: [
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=from-attributes,deployment.environment=test,service.instance.id=ignored"
        ])
        let resource = configuration.resource(node: "a", version: "2", exporter: "1")
        #expect(resource["service.name"] == "from-attributes" && resource["deployment.environment"] == "test")
        #expect(resource["service.instance.id"] == "a" && resource["llmgine.node"] == "a" && resource["service.version"] == "2")
        #expect(Set(resource.attributes.map(\.key)).count == resource.attributes.count)
        #expect(OTLPConfiguration().resource(node: "a", version: nil, exporter: "1")["service.name"] == "llmgine")
        #expect(
            OTLPConfiguration(environment: ["OTEL_SERVICE_NAME": "x"]).resource(node: "a", version: nil, exporter: "1")["service.name"]
                == "x")
    }
}
