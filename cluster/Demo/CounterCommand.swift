import ArgumentParser
import Histogram
import LLMgine
import NIOCore
import ServiceContextModule
import Synchronization
import Tracing

/// Node B: counts the words of what A publishes. Its worker slot comes with its settings.
struct CounterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "counter", shouldDisplay: false)

    @Option var config: String

    func run() async throws {
        let application = try await ApplicationBootstrap(settings: NodeSettings.load(file: config).settings)
        try await application.run { try await count(on: application.node) }
    }

    private func count(on node: Node) async throws {
        let tally = Tally()
        let subscription = try await node.bus.subscribe(Document.everyLine) { message, context in
            let span = node.observability.tracing.startSpan("count words", context: .of(context.trace), ofKind: .consumer)
            tally.saw(message, context)
            span.end()
        }
        try await subscription.established()
        Report.ready.send()
        try await Orders.obey { order in
            guard let expected = order.split(separator: " ").last.flatMap({ Int($0) }) else { return }
            await tally.reaches(expected, within: .seconds(10))
            Report.counted(tally.report).send()
        }
    }
}

/// What B saw.
private final class Tally: Sendable {
    private struct State {
        var seen: Set<MessageID> = []
        var report = Report.Counter()
        var latency = Histogram<UInt32>(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
        var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?
    }

    private let state = Mutex(State())

    func saw(_ message: Message, _ context: EventContext) {
        let now = NIODeadline.now().uptimeNanoseconds
        let sent = message.headers[Document.sentHeader].flatMap { UInt64($0) }
        let words = String(decoding: message.payload.readableBytesView, as: UTF8.self).split(whereSeparator: \.isWhitespace).count
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.report.handled += 1
            state.report.missed += Int(context.missed)
            guard state.seen.insert(context.id).inserted else { return nil }
            state.report.lines += 1
            state.report.words += words
            if let sent { state.latency.record(now - min(sent, now)) }
            guard let waiter = state.waiter, state.report.lines >= waiter.count else { return nil }
            state.waiter = nil
            return waiter.continuation
        }
        waiter?.resume()
    }

    /// Returns when so many lines have been seen, or when the time is over.
    func reaches(_ count: Int, within limit: Duration) async {
        let timer = Task {
            try await Task.sleep(for: limit)
            state.withLock { $0.waiter.take() }?.continuation.resume()
        }
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.report.lines < count { state.waiter = (count, continuation) }
                return state.report.lines >= count
            }
            if isThere { continuation.resume() }
        }
        timer.cancel()
    }

    var report: Report.Counter {
        state.withLock { state in
            var report = state.report
            report.p50Microseconds = Double(state.latency.valueAtPercentile(50)) / 1000
            report.p99Microseconds = Double(state.latency.valueAtPercentile(99)) / 1000
            return report
        }
    }
}

extension ServiceContext {
    /// The context of what follows from a message.
    static func of(_ trace: TraceContext?) -> ServiceContext {
        var context = ServiceContext.topLevel
        context.llmgineTrace = trace
        return context
    }
}
