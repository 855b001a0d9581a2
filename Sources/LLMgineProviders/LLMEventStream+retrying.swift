package import LLMgineLLM

extension LLMEventStream {
    /// A call that is made again, as the policy says, when it fails before its first content. The caller sees one answer.
    ///
    /// - Parameters:
    ///   - policy: whether and when.
    ///   - timeout: the time of all attempts together, from the first `next()` on; nil for no limit.
    ///   - clock: measures it, and the waits.
    ///   - attempt: starts one attempt.
    package init(
        retrying policy: LLMRetryPolicy, timeout: Duration?, clock: any Clock<Duration>, attempt: @escaping @Sendable (CallDeadline) -> Pull
    ) {
        self.init {
            let deadline = CallDeadline(timeout: timeout, clock: clock)
            var attempts = 0
            var prelude = StreamPrelude()
            var source: Pull?
            return { () async throws(LLMError) in
                while true {
                    do throws(LLMError) {
                        let pull = source ?? attempt(deadline)
                        source = pull
                        let ready = prelude.admit(try await Self.chunk(from: pull, before: prelude))
                        if !ready.isEmpty { return ready }
                    } catch {
                        source = nil
                        let jitter = Double.random(in: 0..<1)
                        let wait = policy.delay(after: error, attempt: attempts, remaining: deadline.remaining, jitter: jitter)
                        guard !prelude.isOver, let wait else { throw error }
                        attempts += 1
                        prelude.discard()
                        try await deadline.sleep(for: wait)
                    }
                }
            }
        }
    }

    /// What one attempt has next. A failure that comes without any content is thrown, so that it can be retried, in whatever form it comes.
    private static func chunk(from pull: Pull, before prelude: StreamPrelude) async throws(LLMError) -> [LLMStreamEvent.Kind] {
        if Task.isCancelled { throw LLMError(.cancelled, "the caller gave up") }
        guard let kinds = try await pull() else { throw LLMError(.truncatedStream, "the answer stopped without its end") }
        if case .error(let error)? = kinds.last, !prelude.isOver, !kinds.contains(where: \.isContent) { throw error }
        return kinds
    }
}

extension LLMProvider {
    /// The model's name without this provider's prefix.
    package func localName(of model: String) -> String {
        model.hasPrefix(name + "/") ? String(model.dropFirst(name.count + 1)) : model
    }
}
