/// The layer table of the README: which of our modules each module may import. SwiftPM lets a module import whatever its dependencies
/// bring along, so the table is held by the tests beside it.
enum Layers {
    /// What a module may reach outside of this package.
    enum Reach {
        /// No socket, clock, file, thread or random source: the same input gives the same output, in a test and in production.
        case pure
        /// Whatever the manifest gives it.
        case shell
    }

    struct Module {
        let name: String
        let layer: Int
        let reach: Reach
        let imports: Set<String>
    }

    static let modules: [Module] = [
        pure(0, "Core"),

        pure(1, "Wire", "Core"),
        pure(1, "Flow", "Core"),
        pure(1, "Routing", "Core"),
        pure(1, "Membership", "Core"),
        pure(1, "Resilience", "Core"),
        pure(1, "LLM", "Core"),
        pure(1, "OTLP"),

        pure(2, "Link", "Core", "Wire", "Flow"),
        pure(2, "Broker", "Core", "Flow", "Routing", "Membership"),

        // Beside Bus on layer 3 and below it in imports: the bus calls it, it cannot reach the bus.
        shell(3, "Observability", "Core", "OTLP"),
        shell(3, "Bus", "Core", "Flow", "Routing", "Broker", "Resilience", "Observability"),
        shell(3, "Transport", "Core", "Wire", "Flow", "Link"),
        shell(
            3, "Node", "Core", "Wire", "Flow", "Routing", "Membership", "Resilience", "Link", "Broker", "Bus", "Transport", "Observability"),

        shell(4, "Workers", "Core", "LLM", "Bus", "Node", "Observability"),
        shell(4, "Providers", "Core", "LLM", "Observability"),
        shell(4, "Store", "Core", "Resilience", "Bus"),
        shell(4, "Journal", "Core", "Bus"),
        shell(4, "OTLPExporter", "OTLP", "Observability"),
        shell(4, "OTLPSink", "OTLP"),

        shell(
            5, "", "Core", "LLM", "Resilience", "Bus", "Node", "Transport", "Observability", "Workers", "Providers", "Store", "Journal",
            "OTLPExporter"
        ),
        shell(
            5, "TestKit", "Core", "Wire", "Link", "Flow", "Routing", "Broker", "Membership", "Resilience", "Bus", "LLM", "Transport",
            "Node", "Observability"),

        shell(6, "Command", "", "Core", "LLM", "Bus", "Node", "Transport", "Observability", "Workers", "Journal", "OTLP", "OTLPSink"),
    ]

    /// Libraries of the system, by the folder of their module map.
    static let libraries = ["CZlib"]

    /// What reaches a socket, a thread, a clock, a file or a random source, and what brings all of Foundation with it.
    static let impure: Set<String> = [
        "NIOPosix", "NIOSSL", "NIOTLS", "NIOHTTP1", "NIOConcurrencyHelpers", "Foundation", "FoundationNetworking", "Dispatch", "Glibc",
        "Musl",
        "Synchronization", "Logging", "CoreMetrics", "Tracing", "ServiceLifecycle", "AsyncHTTPClient", "Hummingbird", "Crypto", "X509",
    ]

    /// Calls that need no import and still ask the world: a clock, a random source, a task, the environment.
    static let impureCalls = [
        "ContinuousClock", "SuspendingClock", "Date()", "SystemRandomNumberGenerator", ".random(in", ".randomElement(", ".shuffled()",
        "UUID()",
        "Task {", "Task.detached", "Task.sleep", "ProcessInfo", "NIODeadline.now", "Mutex<", "NSLock",
    ]

    /// The modules below layer 3 that may use part of Foundation: for the JSON coder behind `Payload`.
    static let essentials: Set<String> = ["LLMgineCore"]

    private static func pure(_ layer: Int, _ name: String, _ imports: String...) -> Module {
        Module(name: prefixed(name), layer: layer, reach: .pure, imports: Set(imports.map(prefixed)))
    }

    private static func shell(_ layer: Int, _ name: String, _ imports: String...) -> Module {
        Module(name: prefixed(name), layer: layer, reach: .shell, imports: Set(imports.map(prefixed)))
    }

    private static func prefixed(_ name: String) -> String { "LLMgine\(name)" }
}
