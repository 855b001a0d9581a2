// swift-tools-version: 6.2
import PackageDescription

// The target list is the map of the system: one target per row of the layer table in the README, lowest layer first.
// Imports point down; `Tests/ArchitectureTests` holds what SwiftPM does not.

let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    .treatWarning("StrictLanguageFeatures", as: .error),  // a misspelt feature is otherwise silent
]

/// Products of other packages, under the names that the targets use.
enum External {
    static let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
    static let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
    static let nioConcurrency = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
    static let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
    static let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
    static let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
    static let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
    static let nioHTTPCompression = Target.Dependency.product(name: "NIOHTTPCompression", package: "swift-nio-extras")
    static let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
    static let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
    static let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
    static let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
    static let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
    static let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
    static let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
    static let metrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
    static let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
    static let serviceContext = Target.Dependency.product(name: "ServiceContextModule", package: "swift-service-context")
    static let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
    static let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
    static let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
    static let configuration = Target.Dependency.product(name: "Configuration", package: "swift-configuration")
    static let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
    static let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
    static let sqlite = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
    static let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
}

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

let package = Package(
    name: "llmgine",
    products: [
        .library(name: "LLMgine", targets: ["LLMgine"]),
        .library(name: "LLMgineTestKit", targets: ["LLMgineTestKit"]),
        .executable(name: "llmgine", targets: ["LLMgineCommand"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-service-context", from: "1.5.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML", "CommandLineArguments"]),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.1.4"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // 0: the vocabulary
        module("LLMgineCore", [External.nioCore]),

        // zlib as the system has it, for compressed links: no dependency of this package exports its own wrapper
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),

        // 1: parts, pure
        module("LLMgineWire", ["LLMgineCore", "CZlib", External.nioCore]),
        module("LLMgineFlow", ["LLMgineCore"]),
        module("LLMgineRouting", ["LLMgineCore"]),
        module("LLMgineMembership", ["LLMgineCore"]),
        module("LLMgineResilience", ["LLMgineCore"]),
        module("LLMgineLLM", ["LLMgineCore", External.nioCore]),
        module("LLMgineOTLP"),

        // 2: machines, pure
        module("LLMgineLink", ["LLMgineCore", "LLMgineWire", "LLMgineFlow", External.nioCore, External.deque]),
        module("LLMgineBroker", ["LLMgineCore", "LLMgineFlow", "LLMgineRouting", "LLMgineMembership", External.heap]),

        // 3: shells: sockets, tasks, locks. Observability stands beside Bus and below it in imports.
        module(
            "LLMgineObservability",
            [
                "LLMgineCore", "LLMgineOTLP", External.logging, External.metrics, External.tracing, External.nioConcurrency,
                External.deque, External.system,
            ]),
        module(
            "LLMgineBus",
            [
                "LLMgineCore", "LLMgineFlow", "LLMgineRouting", "LLMgineBroker", "LLMgineResilience", "LLMgineObservability",
                External.nioCore, External.nioConcurrency, External.deque, External.heap, External.system, External.logging,
                External.serviceContext,
            ]),
        module(
            "LLMgineTransport",
            [
                "LLMgineCore", "LLMgineWire", "LLMgineFlow", "LLMgineLink", External.nioCore, External.nioPosix, External.nioTLS,
                External.nioSSL,
                External.nioConcurrency, External.system, External.logging, External.x509, External.asn1, External.crypto,
            ]),
        module(
            "LLMgineNode",
            [
                "LLMgineCore", "LLMgineWire", "LLMgineFlow", "LLMgineRouting", "LLMgineBroker", "LLMgineBus", "LLMgineTransport",
                "LLMgineObservability", "LLMgineMembership", "LLMgineLink", "LLMgineResilience",
                External.nioCore, External.nioPosix, External.nioConcurrency, External.logging, External.lifecycle,
            ]),

        // 4: shells over shells
        module(
            "LLMgineWorkers",
            [
                "LLMgineCore", "LLMgineLLM", "LLMgineBus", "LLMgineNode", "LLMgineObservability", External.nioCore, External.logging,
                External.serviceContext,
            ]),
        module(
            "LLMgineProviders",
            [
                "LLMgineCore", "LLMgineLLM", "LLMgineObservability", External.httpClient, External.nioCore, External.nioHTTP1,
                External.logging,
            ]),
        module(
            "LLMgineOTLPExporter",
            [
                "LLMgineOTLP", "LLMgineObservability", External.httpClient, External.nioCore, External.nioHTTP1, External.nioEmbedded,
                External.nioHTTPCompression, External.nioSSL, External.logging, External.lifecycle,
            ]),

        module("LLMgineJournal", ["LLMgineCore", "LLMgineBus", External.nioCore, External.system, External.logging]),
        module(
            "LLMgineStore",
            ["LLMgineCore", "LLMgineResilience", "LLMgineBus", External.sqlite, External.nioCore, External.system, External.logging]),

        // 5: the umbrella that applications import
        module(
            "LLMgine",
            [
                "LLMgineCore", "LLMgineLLM", "LLMgineResilience", "LLMgineBus", "LLMgineNode", "LLMgineTransport", "LLMgineObservability",
                "LLMgineWorkers", "LLMgineProviders", "LLMgineOTLPExporter", "LLMgineStore", "LLMgineJournal", External.configuration,
                External.lifecycle,
                External.unixSignals,
                External.logging, External.system,
            ]),

        // 6: the command line
        .executableTarget(
            name: "LLMgineCommand",
            dependencies: [
                "LLMgine", "LLMgineCore", "LLMgineLLM", "LLMgineBus", "LLMgineNode", "LLMgineTransport", "LLMgineObservability",
                "LLMgineWorkers", "LLMgineJournal",
                "LLMgineOTLP", "LLMgineOTLPSink",
                External.arguments, External.configuration, External.lifecycle, External.unixSignals, External.logging, External.nioCore,
                External.system,
            ],
            swiftSettings: strict),
        module(
            "LLMgineOTLPSink",
            [
                "LLMgineOTLP", External.hummingbird, External.nioCore, External.nioEmbedded, External.nioHTTP1, External.nioHTTPCompression,
                External.logging, External.lifecycle,
            ]),

        // What applications and this package test with
        module(
            "LLMgineTestKit",
            [
                "LLMgineCore", "LLMgineWire", "LLMgineLink", "LLMgineFlow", "LLMgineRouting", "LLMgineBroker", "LLMgineMembership",
                "LLMgineBus",
                "LLMgineLLM", "LLMgineTransport", "LLMgineNode", "LLMgineResilience", "LLMgineObservability", External.nioCore,
                External.logging, External.heap, External.system,
            ]),

        // cluster/ and bench/
        .executableTarget(
            name: "ClusterDemo",
            dependencies: [
                "LLMgine", "LLMgineCore", "LLMgineTransport", "LLMgineOTLPSink", "LLMgineTestKit", External.arguments, External.logging,
                External.nioCore, External.nioPosix, External.histogram, External.tracing, External.serviceContext, External.unixSignals,
                External.system,
            ],
            path: "cluster/Demo", swiftSettings: strict),
        .executableTarget(
            name: "QuickStart", dependencies: ["LLMgine"], path: "cluster/QuickStart", swiftSettings: strict),
        .executableTarget(
            name: "Bench",
            dependencies: [
                "LLMgine", "LLMgineCore", "LLMgineBus", "LLMgineNode", "LLMgineTransport", "LLMgineWire", "LLMgineObservability",
                "LLMgineRouting", "LLMgineResilience", "LLMgineTestKit",
                External.arguments, External.histogram, External.nioCore, External.nioPosix, External.nioTLS, External.nioSSL,
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
            ],
            path: "bench/Bench", swiftSettings: strict),

        // Tests mirror Sources
        tests("LLMgineCoreTests", ["LLMgineCore", External.nioCore]),
        tests("LLMgineWireTests", ["LLMgineCore", "LLMgineWire", "LLMgineTestKit", External.nioCore]),
        tests("LLMgineFlowTests", ["LLMgineCore", "LLMgineFlow", "LLMgineTestKit"]),
        tests("LLMgineRoutingTests", ["LLMgineCore", "LLMgineRouting", "LLMgineTestKit"]),
        tests("LLMgineMembershipTests", ["LLMgineCore", "LLMgineMembership"]),
        tests("LLMgineResilienceTests", ["LLMgineCore", "LLMgineResilience", External.nioCore]),
        tests("LLMgineLLMTests", ["LLMgineCore", "LLMgineLLM", External.nioCore]),
        .testTarget(  // generated code does not mark what is unsafe
            name: "LLMgineOTLPTests", dependencies: ["LLMgineOTLP", External.protobuf], exclude: ["otlp.proto"],
            swiftSettings: Array(strict.dropFirst())),
        tests("LLMgineLinkTests", ["LLMgineCore", "LLMgineWire", "LLMgineFlow", "LLMgineLink", "LLMgineTestKit", External.nioCore]),
        tests("LLMgineBrokerTests", ["LLMgineCore", "LLMgineBroker", "LLMgineFlow", "LLMgineRouting", "LLMgineMembership"]),
        tests(
            "LLMgineObservabilityTests",
            ["LLMgineCore", "LLMgineOTLP", "LLMgineObservability", External.tracing, External.metrics, External.logging]),
        tests(
            "LLMgineBusTests",
            [
                "LLMgineCore", "LLMgineBroker", "LLMgineRouting", "LLMgineBus", "LLMgineFlow", "LLMgineResilience", "LLMgineObservability",
                "LLMgineTestKit", External.nioCore, External.logging,
            ]),
        tests(
            "LLMgineTransportTests",
            [
                "LLMgineCore", "LLMgineWire", "LLMgineFlow", "LLMgineLink", "LLMgineTransport", "LLMgineTestKit", External.nioCore,
                External.nioPosix, External.nioEmbedded, External.nioSSL, External.x509,
            ]),
        tests(
            "LLMgineNodeTests",
            [
                "LLMgineCore", "LLMgineResilience", "LLMgineBus", "LLMgineNode", "LLMgineWire", "LLMgineLink", "LLMgineTransport",
                "LLMgineObservability", "LLMgineTestKit",
                External.nioCore, External.nioPosix, External.nioSSL, External.logging,
            ]),
        tests(
            "LLMgineProvidersTests",
            ["LLMgineCore", "LLMgineLLM", "LLMgineProviders", "LLMgineTestKit", External.hummingbird, External.nioCore, External.logging]),
        tests(
            "LLMgineWorkersTests",
            [
                "LLMgineCore", "LLMgineLLM", "LLMgineBroker", "LLMgineRouting", "LLMgineBus", "LLMgineNode", "LLMgineWorkers",
                "LLMgineProviders",
                "LLMgineTransport", "LLMgineObservability", "LLMgineTestKit", External.nioCore, External.logging, External.serviceContext,
            ]),
        tests(
            "LLMgineOTLPExporterTests",
            [
                "LLMgineCore", "LLMgineOTLP", "LLMgineObservability", "LLMgineOTLPExporter", "LLMgineOTLPSink", External.httpClient,
                External.nioCore,
                External.nioHTTP1, External.lifecycle, External.logging,
            ]),
        tests(
            "LLMgineStoreTests",
            [
                "LLMgineCore", "LLMgineResilience", "LLMgineBus", "LLMgineStore", "LLMgineTestKit", External.sqlite, External.nioCore,
                External.logging,
            ]),
        tests(
            "LLMgineJournalTests",
            ["LLMgineCore", "LLMgineResilience", "LLMgineBus", "LLMgineNode", "LLMgineJournal", "LLMgineTestKit", External.nioCore]),
        tests("LLMgineTests", ["LLMgine", "LLMgineCore", "LLMgineOTLPExporter", External.logging]),
        tests("SimulationTests", ["LLMgineCore", "LLMgineWire", "LLMgineLink", "LLMgineTestKit", External.nioCore]),
        tests("ArchitectureTests", []),
        tests(
            "IntegrationTests",
            [
                "LLMgineCore", "LLMgineResilience", "LLMgineLLM", "LLMgineBus", "LLMgineStore", "LLMgineJournal", "LLMgineTestKit",
                "LLMgineCommand", "ClusterDemo", External.nioCore, External.nioPosix,
            ]),
    ]
)

// Tests/fuzz alone builds this: everything that it reaches is built anew, for libFuzzer.
if Context.environment["LLMGINE_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "FuzzLinks", dependencies: ["LLMgineCore", "LLMgineWire", "LLMgineLink", External.nioCore], path: "Tests/FuzzLinks",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]))
}
