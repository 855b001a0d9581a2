import ArgumentParser
import LLMgine
import NIOCore
import ServiceContextModule
import Synchronization
import Tracing

/// Node A: publishes every line, and has some of them turned into pirate speech.
struct PublisherCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "publisher", shouldDisplay: false)

    @Option var config: String
    @Option var file: String
    @Option var model: String

    /// Calls under way at a time: more than there are worker slots, so that some always wait for one.
    private static let callsAtATime = 8

    func run() async throws {
        let document = try Document(path: file)
        let application = try await ApplicationBootstrap(settings: NodeSettings.load(file: config).settings)
        try await application.run { try await work(on: application.node, document) }
    }

    private func work(on node: Node, _ document: Document) async throws {
        Report.ready.send()
        try await Orders.obey { order in
            if order == "go" { Report.published(try await publish(document, on: node)).send() }
        }
    }

    /// Publishes line by line. A line that is worth a call waits until one of the calls under way is done, so that publishing and calling keep step.
    private func publish(_ document: Document, on node: Node) async throws -> Report.Publisher {
        let pirate = Pirate(node: node, model: model)
        let chosen = document.worthACall
        var published = 0
        try await withThrowingTaskGroup(of: Void.self) { calls in
            var running = 0
            for (number, line) in document.lines.enumerated() {
                let span = node.observability.tracing.startSpan("line", context: .topLevel, ofKind: .internal)
                var options = PublishOptions(trace: span.context.llmgineTrace)
                options.headers.add(Document.sentHeader, "\(NIODeadline.now().uptimeNanoseconds)")
                try await node.bus.publish(
                    Message(topic: document.topic, payload: ByteBuffer(string: line), headers: options.headers, trace: options.trace))
                published += 1
                if chosen.contains(number) {
                    if running == PublisherCommand.callsAtATime {
                        try await calls.next()
                        running -= 1
                    }
                    running += 1
                    calls.addTask {
                        await ServiceContext.withValue(span.context) { await pirate.say(line) }
                        span.end()
                    }
                } else {
                    span.end()
                }
                if number == document.lines.count / 2 { Report.halfWay.send() }
            }
            try await calls.waitForAll()
        }
        var report = pirate.report
        report.lines = published
        return report
    }
}

/// Has lines turned into pirate speech, and keeps the books.
private final class Pirate: Sendable {
    private let node: Node
    private let model: String
    private let books = Mutex(Report.Publisher())

    /// How long a call is tried in all.
    private static let patience = Duration.seconds(30)
    /// The pace of the embedded model, as if it had to think: a call takes about 50 ms and not 50 us, so that one is always under way when C is killed.
    private static let pace: JSONValue = ["firstTokenDelayMilliseconds": .integer(10), "tokenDelayMilliseconds": .integer(4)]

    init(node: Node, model: String) {
        self.node = node
        self.model = model
    }

    var report: Report.Publisher { books.withLock { $0 } }

    /// The node moves a call whose worker has not begun to answer; what had begun is for the application to repeat, and this one does.
    func say(_ line: String) async {
        books.withLock { $0.requests += 1 }
        let request = LLMRequest(model: model, messages: [.user(line)], extensions: ["embedded": Pirate.pace])
        let end = ContinuousClock.now + Pirate.patience
        while true {
            do throws(LLMError) {
                let answer = try await ask(request)
                return note(answer, line)
            } catch {
                guard error.retryable, ContinuousClock.now < end, !Task.isCancelled else {
                    return books.withLock { if $0.failures.count < 10 { $0.failures.append("\(error)") } }
                }
                books.withLock { $0.repeated += 1 }
                try? await Task.sleep(for: error.retryAfter ?? .milliseconds(20))
            }
        }
    }

    private func ask(_ request: LLMRequest) async throws(LLMError) -> LLMResponse {
        var pieces = 0
        var assembler = ResponseAssembler()
        for try await event in node.llm.stream(request) {
            if case .textDelta = event.kind { pieces += 1 }
            try assembler.append(event)
        }
        books.withLock { [pieces] in $0.deltas += pieces }
        return try assembler.response()
    }

    private func note(_ answer: LLMResponse, _ line: String) {
        books.withLock { books in
            books.completed += 1
            books.byWorker[answer.worker ?? "?", default: 0] += 1
            books.tokens += answer.usage.output.total ?? 0
            if books.sample == nil { books.sample = Report.Sample(asked: line.trimmed, answered: answer.text.trimmed) }
        }
    }
}

extension String {
    /// Without white space at its ends, and one space for each stretch of it within.
    fileprivate var trimmed: String { split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}
