/// A streamed answer: what every provider returns, and what a caller iterates.
///
/// The answer is pulled: nothing is asked of the vendor before the first `next()`, and nothing more than the consumer takes, so a slow consumer
/// slows the vendor's connection and fills no queue. To give up, stop iterating or cancel the task: the call is closed either way.
///
/// Whatever the provider does, a consumer sees the events numbered without gap, a `start` first, and then exactly one terminal: the `finish` event,
/// or a thrown ``LLMError``. A source that just ends is `truncatedStream`.
public struct LLMEventStream: AsyncSequence, Sendable {
    /// What is iterated.
    public typealias Element = LLMStreamEvent
    /// What a failed call throws.
    public typealias Failure = LLMError
    /// Waits for more of the answer and returns what is ready at once, nil when there is no more. Called by one task at a time.
    public typealias Pull = () async throws(LLMError) -> [LLMStreamEvent.Kind]?

    private let open: @Sendable () -> Pull

    /// Makes a stream of a source. - Parameter open: starts the call anew for each iteration; what it returns is dropped to close the call.
    public init(_ open: @escaping @Sendable () -> Pull) { self.open = open }

    /// A stream that fails at once.
    public static func failing(_ error: LLMError) -> LLMEventStream {
        LLMEventStream { { () throws(LLMError) in throw error } }
    }

    /// A stream of what is known already.
    public static func ready(_ kinds: [LLMStreamEvent.Kind]) -> LLMEventStream {
        LLMEventStream {
            var rest: [LLMStreamEvent.Kind]? = kinds
            return { () throws(LLMError) in rest.take() }
        }
    }

    /// Starts the call.
    public func makeAsyncIterator() -> Iterator { Iterator(pull: open()) }

    /// Waits for the whole answer.
    /// - Throws: what the stream throws, with the text that had arrived in `deliveredText`.
    public func response() async throws(LLMError) -> LLMResponse {
        var assembler = ResponseAssembler()
        do throws(LLMError) {
            for try await event in self { try assembler.append(event) }
            return try assembler.response()
        } catch {
            var error = error
            if !assembler.text.isEmpty { error.deliveredText = assembler.text }
            throw error
        }
    }

    /// One iteration, which is one call.
    public struct Iterator: AsyncIteratorProtocol {
        private var pull: Pull?
        private var order = StreamOrder()
        private var ready: ArraySlice<LLMStreamEvent> = []

        fileprivate init(pull: @escaping Pull) { self.pull = pull }

        /// The next event, nil after `finish`.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(LLMError) -> LLMStreamEvent? {
            while ready.isEmpty {
                guard let chunk = try await nextChunk(isolation: actor) else { return nil }
                ready = chunk[...]
            }
            return ready.popFirst()
        }

        /// The next event, nil after `finish`.
        public mutating func next() async throws(LLMError) -> LLMStreamEvent? { try await next(isolation: #isolation) }

        /// All events that are ready at once, at least one, nil after `finish`. Not to be mixed with `next()`.
        package mutating func nextChunk(isolation actor: isolated (any Actor)? = #isolation) async throws(LLMError) -> [LLMStreamEvent]? {
            while let pull {
                let kinds: [LLMStreamEvent.Kind]?
                do throws(LLMError) {
                    kinds = try await pull()
                } catch {
                    self.pull = nil
                    throw order.failed(error)
                }
                let admitted = order.admit(kinds)
                if order.isClosed { self.pull = nil }
                if !admitted.isEmpty { return admitted }
            }
            if let failure = order.takeFailure() { throw failure }
            return nil
        }
    }
}
