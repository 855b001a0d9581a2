import LLMgineBus
import LLMgineCore
import LLMgineLLM
import LLMgineObservability
import LLMgineProviders
import LLMgineTestKit
import LLMgineWorkers
import Logging
import NIOCore
import ServiceContextModule
import Testing

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

private func bus(_ name: NodeID, tracing: Bool = false) -> MessageBus {
    let tracer = NodeTracer(sampler: .alwaysOn, enabled: tracing)
    return MessageBus(configuration: BusConfiguration(name: name), observability: ObservabilityManager(tracer: tracer))
}

private func script(_ steps: EmbeddedScript.Step..., key: String? = nil) -> LLMRequest {
    LLMRequest(model: "embedded/script", messages: [.user("")], extensions: ["embedded": EmbeddedScript(steps, key: key).json])
}

private func worker(_ providers: [any LLMProvider] = [EmbeddedProvider()], slots: Int = 4, on bus: MessageBus) async throws -> LLMWorker {
    try await LLMWorker(providers: providers, slots: slots, on: bus, logger: quiet)
}

/// What a client on a bus sees, as a provider, so that it can be held to what providers are held to.
private struct RemoteProvider: LLMProvider {
    let client: LLMClient
    let name = "embedded"
    let models: [String] = []
    func capabilities(of model: String) -> LLMCapabilities { .all }
    func stream(_ request: LLMRequest) -> LLMEventStream { client.stream(request) }
}

@Suite struct `A call to a worker` {
    @Test func `is answered with the worker's name`() async throws {
        let bus = bus("a")
        let worker = try await worker(on: bus)
        let answer = try await LLMClient(bus: bus).generate(LLMRequest(model: "embedded/pirate", messages: [.user("hello my friend")]))
        #expect(answer.text.hasSuffix("ahoy me matey"))
        #expect(answer.worker == "a")
        #expect(answer.provider == "embedded")
        #expect(answer.usage.input.total == 3)
        #expect(worker.providers == ["embedded"])
        await worker.stop()
    }

    @Test func `keeps to what every provider keeps to, through a link`() async throws {
        let (near, far) = (bus("a"), bus("b"))
        _ = try await worker(on: far)
        let link = MemoryLink(from: near, to: far, id: 1)
        let calls = (0..<2).map { LLMToolCall(id: "c\($0)", name: "look", arguments: "{\"at\":\($0)}") }
        let codes = LLMError.Code.allCases.filter { ![.cancelled, .noWorkerAvailable].contains($0) }
        let situations = ProviderConformance.Situations(
            answer: LLMRequest(model: "embedded/echo", messages: [.user("one two three")]), toolCalls: script(.calling(calls)),
            hang: script(.answering("one two").interrupted(.hang, afterTokens: 1)),
            cut: script(.answering("one two").interrupted(.truncation, afterTokens: 1)),
            failures: codes.map { (script(.failing(LLMError($0, "as scripted"))), $0) } + [
                (LLMRequest(model: "embedded/parrot", messages: [.user("x")]), .modelNotFound),
                (LLMRequest(model: "nobody/m", messages: [.user("x")]), .noWorkerAvailable),
                (
                    LLMRequest(model: "embedded/echo", messages: [.user("x")], tools: [LLMTool(name: "t", description: "")]),
                    .unsupportedCapability
                ),
            ])
        let findings = await ProviderConformance(RemoteProvider(client: LLMClient(bus: near)), situations).findings()
        #expect(findings.isEmpty, "\(findings)")
        withExtendedLifetime(link) {}
    }

    @Test func `streams what is ready at once in one reply, and long texts in several`() async throws {
        let (near, far) = (bus("a"), bus("b"))
        _ = try await worker(on: far)
        let link = MemoryLink(from: near, to: far, id: 1)
        let text = String(repeating: "hello wörld ", count: 30_000)
        let answer = try await LLMClient(bus: near).generate(LLMRequest(model: "embedded/echo", messages: [.user(text)]))
        #expect(answer.text == text)
        #expect(answer.usage.output.total ?? 0 > 60_000)
        withExtendedLifetime(link) {}
    }

    @Test func `loses nothing when the reader is slow and the window is one`() async throws {
        let (near, far) = (bus("a"), bus("b"))
        _ = try await worker(on: far)
        let link = MemoryLink(from: near, to: far, id: 1)
        let text = (0..<2_000).map { "w\($0)" }.joined(separator: " ")
        let client = LLMClient(bus: near, configuration: .init(replyWindow: 1))
        var assembler = ResponseAssembler()
        for try await event in client.stream(LLMRequest(model: "embedded/echo", messages: [.user(text)])) {
            try assembler.append(event)
            await Task.yield()
        }
        #expect(try assembler.response().text == text)
        withExtendedLifetime(link) {}
    }

    @Test func `waits for a free slot`() async throws {
        let bus = bus("a")
        let provider = WatchedProvider()
        _ = try await worker([provider], slots: 2, on: bus)
        let client = LLMClient(bus: bus)
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<5 { group.addTask { try await client.generate(LLMRequest(model: "watched/m", messages: [])).text } }
            await provider.begins()
            await provider.begins()
            for _ in 0..<5 { provider.release() }
            for try await text in group { #expect(text == "done") }
        }
        #expect(provider.most == 2)
    }

    @Test func `ends at the worker when the caller gives up, whose slot is free again`() async throws {
        let bus = bus("a")
        let provider = WatchedProvider(first: "some")
        _ = try await worker([provider], slots: 1, on: bus)
        let client = LLMClient(bus: bus)

        let call = Task { try await client.generate(LLMRequest(model: "watched/m", messages: [])) }
        await provider.begins()
        call.cancel()
        let error = await #expect(throws: LLMError.self) { try await call.value }
        #expect(error?.code == .cancelled)
        #expect(error?.deliveredText == "some")
        await provider.ends()

        for try await event in client.stream(LLMRequest(model: "watched/m", messages: [])) where event.kind.isContent { break }
        await provider.ends()

        provider.release()
        #expect(try await client.generate(LLMRequest(model: "watched/m", messages: [])).text == "somedone")
    }

    @Test func `fails when nobody has the model, or nobody has room in time`() async throws {
        let bus = bus("a")
        await #expect(throws: LLMError(.noWorkerAvailable, "")) {
            try await LLMClient(bus: bus).generate(LLMRequest(model: "embedded/echo", messages: [.user("x")]))
        }
        let provider = WatchedProvider()
        _ = try await worker([provider], slots: 1, on: bus)
        let client = LLMClient(bus: bus)
        let first = Task { try await client.generate(LLMRequest(model: "watched/m", messages: [])) }
        await provider.begins()
        var request = LLMRequest(model: "watched/m", messages: [])
        request.execution.timeout = .milliseconds(20)
        let short = request
        await #expect(throws: LLMError(.noWorkerAvailable, "")) { try await client.generate(short) }
        provider.release()
        _ = try await first.value
    }

    @Test func `hands on the time that is left`() async throws {
        let bus = bus("a")
        let clock = ManualClock()
        _ = try await worker([EmbeddedProvider(clock: clock)], on: bus)
        var request = script(.answering("one").interrupted(.hang, afterTokens: 0))
        request.execution.timeout = .milliseconds(50)
        let short = request
        await #expect(throws: LLMError(.deadlineExceeded, "")) { try await LLMClient(bus: bus).generate(short) }
    }

    @Test func `is refused when it cannot be read`() async throws {
        let bus = bus("a")
        _ = try await worker(on: bus)
        let message = Message(topic: "llmgine.llm.embedded.echo", payload: ByteBuffer(string: "{nonsense"))
        let reply = try await bus.request(message).first()
        let events = try LLMEventBatch(decoding: reply.payload).events
        #expect(events.map(\.kind) == [.error(LLMError(.invalidRequest, ""))])
    }

    @Test func `needs a worker that makes sense`() async throws {
        let bus = bus("a")
        await #expect(throws: LLMgineError(.invalidArgument, "")) { try await worker([], on: bus) }
        await #expect(throws: LLMgineError(.invalidArgument, "")) { try await worker(slots: 0, on: bus) }
        await #expect(throws: LLMgineError(.invalidArgument, "")) { try await worker([EmbeddedProvider(), EmbeddedProvider()], on: bus) }
    }
}

@Suite struct `A call whose worker fails` {
    /// A client's bus with two workers behind links.
    struct Pair {
        let near = bus("client")
        let one = bus("one")
        let two = bus("two")

        func links() -> [MemoryLink] { [MemoryLink(from: near, to: one, id: 1), MemoryLink(from: near, to: two, id: 2)] }
    }

    @Test func `moves to another one when the worker dies before its first token`() async throws {
        let pair = Pair()
        let (first, second) = (WatchedProvider(), WatchedProvider())
        _ = try await worker([first], on: pair.one)
        let link = MemoryLink(from: pair.near, to: pair.one, id: 1)
        let client = LLMClient(bus: pair.near)
        let call = Task { try await client.generate(LLMRequest(model: "watched/m", messages: [])) }
        await first.begins()
        _ = try await worker([second], on: pair.two)
        let other = MemoryLink(from: pair.near, to: pair.two, id: 2)
        link.cut()
        await first.ends()
        await second.begins()
        second.release()
        let answer = try await call.value
        #expect(answer.worker == "two")
        #expect(answer.text == "done")
        withExtendedLifetime(other) {}
    }

    @Test func `says what had been delivered when the worker dies after its first token`() async throws {
        let pair = Pair()
        let provider = WatchedProvider(first: "some")
        _ = try await worker([provider], on: pair.one)
        let link = MemoryLink(from: pair.near, to: pair.one, id: 1)
        let client = LLMClient(bus: pair.near)
        let call = Task { try await client.generate(LLMRequest(model: "watched/m", messages: [])) }
        await provider.begins()
        link.cut()
        let error = await #expect(throws: LLMError.self) { try await call.value }
        #expect(error?.code == .workerLost)
        #expect(error?.deliveredBytes == 4)
        #expect(error?.deliveredText == "some")
        await provider.ends()
    }

    @Test func `moves to another one when the provider fails in a way that may be its own`() async throws {
        let pair = Pair()
        _ = try await worker(on: pair.one)
        _ = try await worker(on: pair.two)
        let links = pair.links()
        // Each worker counts for itself: the first one to get the script fails, and so does the second, whose failure is final.
        let failing = script(.failing(LLMError(.rateLimited, "slow", retryAfter: .seconds(3))), .answering("fine"), key: "k")
        let error = await #expect(throws: LLMError.self) { try await LLMClient(bus: pair.near).generate(failing) }
        #expect(error?.code == .rateLimited)
        #expect(error?.retryAfter == .seconds(3))
        // By now both have failed once.
        #expect(try await LLMClient(bus: pair.near).generate(failing).text == "fine")
        withExtendedLifetime(links) {}
    }

    @Test func `is not repeated when that cannot help`() async throws {
        let pair = Pair()
        _ = try await worker(on: pair.one)
        _ = try await worker(on: pair.two)
        let links = pair.links()
        let request = script(.failing(LLMError(.authentication, "no key")), .answering("never"), key: "k")
        await #expect(throws: LLMError(.authentication, "")) { try await LLMClient(bus: pair.near).generate(request) }
        withExtendedLifetime(links) {}
    }

    @Test func `is tried by so many workers and no more`() async throws {
        let near = bus("client")
        var links: [MemoryLink] = []
        for number in 0..<5 {
            let far = bus(try NodeID("worker-\(number)"))
            _ = try await worker(on: far)
            links.append(MemoryLink(from: near, to: far, id: UInt64(number + 1)))
        }
        // A script without a key fails once at each worker.
        let request = script(.failing(LLMError(.overloaded, "busy")), .answering("fine"))
        await #expect(throws: LLMError(.overloaded, "")) { try await LLMClient(bus: near).generate(request) }
        // Three have failed; the fourth or fifth attempt of a later call meets those that have.
        let patient = LLMClient(bus: near, configuration: .init(maximumAttempts: 5))
        #expect(try await patient.generate(request).text == "fine")
        withExtendedLifetime(links) {}
    }

    @Test func `moves on when the worker stops`() async throws {
        let pair = Pair()
        let (first, second) = (WatchedProvider(), WatchedProvider(first: "two "))
        let leaving = try await worker([first], on: pair.one)
        let link = MemoryLink(from: pair.near, to: pair.one, id: 1)
        let client = LLMClient(bus: pair.near)
        let call = Task { try await client.generate(LLMRequest(model: "watched/m", messages: [])) }
        await first.begins()
        _ = try await worker([second], on: pair.two)
        let other = MemoryLink(from: pair.near, to: pair.two, id: 2)
        await leaving.stop()
        second.release()
        #expect(try await call.value.text == "two done")
        withExtendedLifetime((link, other)) {}
    }
}

@Suite struct `The trace of a call` {
    @Test func `goes from the caller through the worker, with tokens counted once`() async throws {
        let (near, far) = (bus("a", tracing: true), bus("b", tracing: true))
        _ = try await worker(on: far)
        let link = MemoryLink(from: near, to: far, id: 1)
        let root = try #require(near.observability.tracer.started(below: nil))
        var context = ServiceContext.topLevel
        context.llmgineTrace = root
        var request = LLMRequest(model: "embedded/echo", messages: [.user("one two")], maxOutputTokens: 9, temperature: 0.5)
        request.id = "r"
        let asked = request
        _ = try await ServiceContext.withValue(context) { try await LLMClient(bus: near).generate(asked) }

        var nearSpans = spans(of: near)
        while !nearSpans.contains(where: { $0.kind == .request }) {  // recorded when the answer has been read to its end
            await Task.yield()
            nearSpans += spans(of: near)
        }
        let client = try #require(nearSpans.first { $0.kind == .llmChat })
        let sent = try #require(nearSpans.first { $0.kind == .request })
        #expect(sent.parent == client.context.span)
        #expect(client.subject == "embedded/echo")
        #expect(client.parent == root.span)
        #expect(client.status == .ok)
        #expect(client.notes.contains { if case .inputTokens(2) = $0 { true } else { false } })
        #expect(client.notes.contains { if case .outputTokens(2) = $0 { true } else { false } })
        #expect(client.notes.contains { if case .worker("b") = $0 { true } else { false } })
        #expect(client.notes.contains { if case .timeToFirstChunk = $0 { true } else { false } })

        var farSpans = spans(of: far)
        while !farSpans.contains(where: { $0.kind == .respond }) {  // recorded after the last reply has gone
            await Task.yield()
            farSpans += spans(of: far)
        }
        let served = try #require(farSpans.first { $0.kind == .respond })
        #expect(served.parent == sent.context.span)
        #expect(served.parentIsRemote)
        let worker = try #require(farSpans.first { $0.kind == .custom })
        #expect(worker.parent == served.context.span)
        #expect(worker.context.traceLow == client.context.traceLow)
        #expect(!worker.notes.contains { if case .inputTokens = $0 { true } else { false } })
        withExtendedLifetime(link) {}
    }

    @Test func `ends with the failure, and with the caller who stops reading`() async throws {
        let bus = bus("a", tracing: true)
        _ = try await worker(on: bus)
        let client = LLMClient(bus: bus)
        _ = try? await client.generate(script(.failing(LLMError(.contentFiltered, "no"))))
        let failed = try #require(spans(of: bus).first { $0.kind == .llmChat })
        #expect(failed.status == .error("contentFiltered"))
        for try await event in client.stream(script(.answering("one two").interrupted(.hang, afterTokens: 1))) where event.kind.isContent {
            break
        }
        let dropped = try #require(spans(of: bus).first { $0.kind == .llmChat })
        #expect(dropped.status == .error("cancelled"))
    }

    private func spans(of bus: MessageBus) -> [FinishedSpan] {
        var batch: [FinishedSpan] = []
        bus.observability.tracer.recorder.drain(into: &batch, maximum: 100)
        return batch
    }
}
