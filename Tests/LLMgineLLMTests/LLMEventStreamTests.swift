import LLMgineLLM
import Testing

@Suite struct `A streamed answer` {
    static let start = LLMStreamEvent.Kind.start(LLMStart(model: "m", provider: "p"))
    static let finish = LLMStreamEvent.Kind.finish(LLMFinishReason(.stop), LLMUsage())

    /// What a consumer sees: the events and the error.
    static func seen(_ stream: LLMEventStream) async -> ([LLMStreamEvent], LLMError?) {
        var events: [LLMStreamEvent] = []
        do throws(LLMError) {
            for try await event in stream { events.append(event) }
            return (events, nil)
        } catch {
            return (events, error)
        }
    }

    @Test func `is numbered and ends after its terminal, whatever the source adds`() async {
        let (events, error) = await Self.seen(.ready([Self.start, .textDelta("a"), Self.finish, .textDelta("b"), Self.finish]))
        #expect(events == [Self.start, .textDelta("a"), Self.finish].enumerated().map { LLMStreamEvent(sequence: $0, kind: $1) })
        #expect(error == nil)
    }

    @Test func `is truncated when the source just ends`() async {
        let (events, error) = await Self.seen(.ready([Self.start, .textDelta("abc")]))
        #expect(events.count == 2)
        #expect(error?.code == .truncatedStream)
        #expect(error?.deliveredBytes == 3)
    }

    @Test func `throws the error that the source delivers, after what came before it`() async {
        let (events, error) = await Self.seen(
            .ready([Self.start, .textDelta("abc"), .error(LLMError(.providerInternal, "x")), .textDelta("d")]))
        #expect(events.map(\.kind) == [Self.start, .textDelta("abc")])
        #expect(error?.code == .providerInternal)
        #expect(error?.deliveredBytes == 3)
    }

    @Test func `is refused when it does not begin with its start`() async {
        let (events, error) = await Self.seen(.ready([.textDelta("abc"), Self.finish]))
        #expect(events.isEmpty)
        #expect(error?.code == .protocolViolation)
    }

    @Test func `gives a caller who waits for the whole what had arrived`() async {
        let error = await #expect(throws: LLMError.self) { try await LLMEventStream.ready([Self.start, .textDelta("abc")]).response() }
        #expect(error?.deliveredText == "abc")
        #expect(error?.description.contains("abc") == false)
    }

    @Test func `hands out what is ready at once as one chunk`() async throws {
        var iterator = LLMEventStream.ready([Self.start, .textDelta("a"), .textDelta("b"), Self.finish]).makeAsyncIterator()
        #expect(try await iterator.nextChunk()?.count == 4)
        #expect(try await iterator.nextChunk() == nil)
    }
}

@Suite struct `The beginning of an answer` {
    @Test func `is held back until its first content`() {
        var prelude = StreamPrelude()
        #expect(prelude.admit([`A streamed answer`.start]) == [])
        #expect(prelude.admit([.usage(LLMUsage())]) == [])
        prelude.discard()
        #expect(prelude.admit([`A streamed answer`.start]) == [])
        #expect(!prelude.isOver)
        #expect(prelude.admit([.textDelta("a")]) == [`A streamed answer`.start, .textDelta("a")])
        #expect(prelude.isOver)
        #expect(prelude.admit([.textDelta("b")]) == [.textDelta("b")])
    }

    @Test func `is not held without bound`() {
        var prelude = StreamPrelude()
        for _ in 0..<StreamPrelude.limit { #expect(prelude.admit([.usage(LLMUsage())]) == []) }
        #expect(prelude.admit([.usage(LLMUsage())]).count == StreamPrelude.limit + 1)
    }
}
