import ArgumentParser
import LLMgine
import LLMgineOTLPSink
import Logging
import ServiceLifecycle

import class FoundationEssentials.JSONEncoder

struct OTLPSinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "otlp-sink", abstract: "Receive telemetry over OTLP/HTTP and count it, until SIGINT or SIGTERM.",
        discussion: """
            For demonstrations and tests. GET / answers with the counts so far; the last line is the same object.

            Example:
              llmgine otlp-sink --port 4318
              OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 llmgine node --config a.yaml
            """)

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port; 0 picks a free one.")
    var port = 4318

    @OptionGroup var end: EndOptions

    func validate() throws {
        guard (0...65_535).contains(port) else { throw ValidationError("--port must be from 0 to 65535") }
    }

    func run() async throws {
        let sink = OTLPSink(host: host, port: port)
        let ending = await end.ending()
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                let group = ServiceGroup(
                    configuration: ServiceGroupConfiguration(
                        services: [sink], logger: Logger(label: "", factory: { _ in SwiftLogNoOpLogHandler() })))
                tasks.addTask {
                    // Without a port, `run` says why.
                    if let port = try? await sink.port() { Terminal.complain("receiving telemetry at http://\(host):\(port)") }
                }
                tasks.addTask {
                    await ending.comes()
                    await group.triggerGracefulShutdown()
                }
                defer { tasks.cancelAll() }
                try await group.run()
            }
        } catch {
            throw LLMgineError(.connectionClosed, "cannot listen on \(host):\(port)", cause: error)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Terminal.say(String(decoding: try encoder.encode(sink.summary), as: UTF8.self))
    }
}
