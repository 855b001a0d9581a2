import LLMgineLLM
import Synchronization

/// A provider under the name `watched` whose calls wait for the test, which sees them begin and end.
final class WatchedProvider: LLMProvider {
    let name = "watched"
    let models: [String] = []

    private let began: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation) = AsyncStream.makeStream()
    private let ended: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation) = AsyncStream.makeStream()
    private let gate: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation) = AsyncStream.makeStream()
    private let first: String?
    private let running = Mutex((now: 0, most: 0))

    /// - Parameter first: text that each call delivers before it waits.
    init(first: String? = nil) { self.first = first }

    func capabilities(of model: String) -> LLMCapabilities { .all }

    /// Waits until one more call runs.
    func begins() async { for await _ in began.stream { break } }
    /// Waits until one more call was ended, for whatever reason.
    func ends() async { for await _ in ended.stream { break } }
    /// Lets one call go on.
    func release() { gate.continuation.yield() }
    /// The most calls that ran at a time.
    var most: Int { running.withLock { $0.most } }

    private final class Watch {
        let onEnd: () -> Void
        init(onEnd: @escaping () -> Void) { self.onEnd = onEnd }
        deinit { onEnd() }
    }

    func stream(_ request: LLMRequest) -> LLMEventStream {
        LLMEventStream { [self] in
            running.withLock { running in
                running.now += 1
                running.most = max(running.most, running.now)
            }
            let watch = Watch { [self] in
                running.withLock { $0.now -= 1 }
                ended.continuation.yield()
            }
            var step = 0
            return { () async throws(LLMError) in
                defer { withExtendedLifetime(watch) {} }
                step += 1
                let start = LLMStreamEvent.Kind.start(LLMStart(model: "m", provider: "watched"))
                if step == 1 {
                    guard let first = self.first else { return [start] }
                    return [start, .textDelta(first)]
                }
                self.began.continuation.yield()
                for await _ in self.gate.stream { break }
                if Task.isCancelled { throw LLMError(.cancelled, "given up") }
                return [.textDelta("done"), .finish(LLMFinishReason(.stop), LLMUsage(input: .init(total: 1), output: .init(total: 1)))]
            }
        }
    }
}
