package import LLMgineOTLP

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension OTLPConfiguration {
    /// Who produces the telemetry. What the program says goes before what the environment says, except for the service's name.
    package func resource(node: String, version: String?, exporter: String) -> OTLP.Resource {
        var attributes = [
            OTLP.Attribute("service.name", serviceName ?? resourceAttributes.last { $0.name == "service.name" }?.value ?? "llmgine"),
            OTLP.Attribute("service.instance.id", node),
            OTLP.Attribute("llmgine.node", node),
            OTLP.Attribute("telemetry.sdk.name", "llmgine"),
            OTLP.Attribute("telemetry.sdk.language", "swift"),
            OTLP.Attribute("telemetry.sdk.version", exporter),
            OTLP.Attribute("process.pid", .int(Int64(getpid()))),
        ]
        if let version { attributes.append(OTLP.Attribute("service.version", version)) }
        if let host = Self.hostName { attributes.append(OTLP.Attribute("host.name", host)) }
        for (name, value) in resourceAttributes where !attributes.contains(where: { $0.key == name }) {
            attributes.append(OTLP.Attribute(name, value))
        }
        return OTLP.Resource(attributes: attributes)
    }

    private static var hostName: String? {
        var bytes = [UInt8](repeating: 0, count: 256)
        let failed = unsafe bytes.withUnsafeMutableBytes { buffer in
            // The call writes at most the 255 bytes that it is told of, so the last stays 0.
            guard let start = buffer.baseAddress else { return Int32(-1) }
            return unsafe gethostname(start.assumingMemoryBound(to: CChar.self), buffer.count - 1)
        }
        guard failed == 0, let name = String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self), !name.isEmpty else { return nil }
        return name
    }
}
