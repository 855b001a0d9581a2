import LLMgineLLM
import LLMgineProviders
import LLMgineTestKit
import Testing

@Suite struct `Pirate speech` {
    @Test func `begins with an opener that depends on the text alone`() {
        let speeches = (0..<100).map { PirateSpeech.translate("\($0)") }
        #expect(speeches.allSatisfy { $0.hasPrefix("Arrr") })
        #expect(speeches == (0..<100).map { PirateSpeech.translate("\($0)") })
        #expect(Set(speeches.compactMap { $0.split(separator: "! ").first }).count > 4)
    }

    @Test(arguments: [
        ("hello", "ahoy"), ("Hello, my friend!", "Ahoy, me matey!"), ("WHERE IS THE MONEY?", "WHERE BE TH' DOUBLOONS?"),
        ("You're looking at your old song.", "Ye be spyin' at yer barnacle-covered shanty."),
        ("I am singing and Dancing", "I be singin' an' Dancin'"),
        ("a thing, a string, the king and RUNNING", "a thing, a string, th' king an' RUNNIN'"),
        ("It\u{2019}s  never\n\tover", "'Tis  ne'er\n\to'er"),
        ("", ""), ("42 😀 ok?", "42 😀 ok?"), ("No, sir: 3 coins", "Nay, cap'n: 3 doubloons"),
    ])
    func `follows its rules and keeps capitals and everything between words`(text: String, expected: String) throws {
        let speech = PirateSpeech.translate(text)
        let opener = try #require(speech.firstIndex(of: "!"))
        #expect(speech[opener...].dropFirst(2) == expected)
    }
}

@Suite struct `Embedded tokens` {
    @Test(arguments: ["", " ", "a", "a b", "  a\n\nb  ", "naïve 😀 text.", String(repeating: "x", count: 100)])
    func `are the text again when joined, and none is long`(text: String) {
        let tokens = EmbeddedTokens.split(text)
        #expect(tokens.joined() == text)
        #expect(tokens.allSatisfy { $0.count <= 32 && !$0.isEmpty })
    }

    @Test func `are words with the space before them`() {
        #expect(EmbeddedTokens.split("Ahoy, me matey! ") == ["Ahoy,", " me", " matey!", " "])
    }
}

@Suite struct `The embedded provider` {
    static let timed = EmbeddedScript.Step.answering("one two three", firstTokenDelay: .milliseconds(100), tokenDelay: .milliseconds(10))

    static func script(_ steps: EmbeddedScript.Step..., key: String? = nil) -> LLMRequest {
        LLMRequest(model: "embedded/script", messages: [.user("")], extensions: ["embedded": EmbeddedScript(steps, key: key).json])
    }

    @Test func `conforms`() async {
        let calls = (0..<3).map { LLMToolCall(id: "c\($0)", name: "look", arguments: $0 == 0 ? "" : "{\"at\":\($0)}") }
        let situations = ProviderConformance.Situations(
            answer: LLMRequest(model: "embedded/pirate", messages: [.user("hello my friend")]), toolCalls: Self.script(.calling(calls)),
            hang: Self.script(.answering("one two").interrupted(.hang, afterTokens: 1)),
            cut: Self.script(.answering("one two").interrupted(.truncation, afterTokens: 1)),
            failures: LLMError.Code.allCases.map { (Self.script(.failing(LLMError($0, "as scripted"))), $0) } + [
                (LLMRequest(model: "embedded/parrot", messages: [.user("x")]), .modelNotFound),
                (LLMRequest(model: "embedded/script", messages: [.user("no script")]), .invalidRequest),
                (
                    LLMRequest(model: "embedded/echo", messages: [.user("x")], tools: [LLMTool(name: "t", description: "")]),
                    .unsupportedCapability
                ),
            ])
        let findings = await ProviderConformance(EmbeddedProvider(), situations).findings()
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test func `answers like a pirate, the same in every process`() async throws {
        let request = LLMRequest(model: "embedded/pirate", messages: [.system("Be brief."), .user("Hello, my friend!")])
        let response = try await EmbeddedProvider().generate(request)
        #expect(response.text.hasSuffix("! Ahoy, me matey!"))
        #expect(response.provider == "embedded")
        #expect(response.model == "pirate")
        #expect(response.usage.input.total == 5)
        #expect(response.usage.output.total == EmbeddedTokens.split(response.text).count)
        #expect(try await EmbeddedProvider().generate(request) == response)
    }

    @Test func `streams token by token`() async throws {
        var deltas: [String] = []
        for try await event in EmbeddedProvider().stream(LLMRequest(model: "embedded/echo", messages: [.user("one two  three")])) {
            if case .textDelta(let text) = event.kind { deltas.append(text) }
        }
        #expect(deltas == ["one", " two", "  three"])
    }

    @Test func `stops at the limit of tokens`() async throws {
        let request = LLMRequest(model: "embedded/echo", messages: [.user("one two three")], maxOutputTokens: 2)
        let response = try await EmbeddedProvider().generate(request)
        #expect(response.text == "one two")
        #expect(response.finishReason.unified == .length)
    }

    @Test func `plays a script call by call, and its last step for ever`() async throws {
        let provider = EmbeddedProvider()
        let request = Self.script(.failing(LLMError(.rateLimited, "slow", retryAfter: .seconds(3))), .answering("a"), .answering("b"))
        let error = await #expect(throws: LLMError.self) { try await provider.generate(request) }
        #expect(error?.retryAfter == .seconds(3))
        for expected in ["a", "b", "b"] { #expect(try await provider.generate(request).text == expected) }

        let other = Self.script(.answering("x"), .answering("y"), key: "k")
        #expect(try await provider.generate(other).text == "x")
        #expect(try await provider.generate(Self.script(.answering("1"), .answering("2"), key: "k")).text == "2")
    }

    @Test func `takes a script from the last user message too`() async throws {
        let text =
            #"{"text":"Arrr","toolCalls":[{"id":"c","name":"n","arguments":"{}"}],"reasoning":"Hm","usage":{"input":{"total":7},"output":{"total":8}}}"#
        let response = try await EmbeddedProvider().generate(LLMRequest(model: "embedded/script", messages: [.user(text)]))
        #expect(response.text == "Arrr")
        #expect(response.reasoning?.text == "Hm")
        #expect(response.toolCalls == [LLMToolCall(id: "c", name: "n", arguments: "{}")])
        #expect(response.finishReason.unified == .toolCalls)
        #expect(response.usage.output.total == 8)
    }

    @Test func `retries when told to, and then waits as long as it was asked`() async throws {
        let clock = ManualClock()
        let provider = EmbeddedProvider(clock: clock, retry: LLMRetryPolicy())
        async let response = provider.generate(Self.script(.failing(LLMError(.rateLimited, "", retryAfter: .seconds(2))), .answering("a")))
        await clock.sleeper(for: .seconds(2))
        clock.advance(by: .seconds(2))
        let text = try await response.text
        #expect(text == "a")
    }

    @Test func `keeps the time that a script gives its tokens`() async throws {
        let clock = ManualClock()
        var iterator = EmbeddedProvider(clock: clock).stream(Self.script(Self.timed)).makeAsyncIterator()
        for (wait, count) in [(Duration.milliseconds(100), 2), (.milliseconds(10), 1), (.milliseconds(10), 2)] {
            async let turned: Void = {
                await clock.sleeper(for: wait)
                clock.advance(by: wait)
            }()
            #expect(try await iterator.nextChunk()?.count == count)
            await turned
        }
        #expect(clock.now.offset == .milliseconds(120))
    }

    @Test func `gives up when its time is over`() async throws {
        let clock = ManualClock()
        var request = Self.script(.answering("one two").interrupted(.hang, afterTokens: 1))
        request.execution.timeout = .seconds(5)
        let (provider, asked) = (EmbeddedProvider(clock: clock), request)
        let call = Task { try await provider.generate(asked) }
        await clock.sleeper(for: .seconds(5))
        clock.advance(by: .seconds(5))
        let error = await #expect(throws: LLMError.self) { try await call.value }
        #expect(error?.code == .deadlineExceeded)
        #expect(error?.deliveredText == "one")
    }

    @Test func `lays a script out in time`() {
        let start = LLMStart(model: "script", provider: "embedded")
        let bars = EmbeddedScore(Self.timed, start: start, inputTokens: 3, limit: nil).bars
        #expect(
            bars == [
                .wait(.milliseconds(100)), .deliver([.start(start), .textDelta("one")]), .wait(.milliseconds(10)),
                .deliver([.textDelta(" two")]),
                .wait(.milliseconds(10)),
                .deliver([
                    .textDelta(" three"), .finish(LLMFinishReason(.stop), LLMUsage(input: .init(total: 3), output: .init(total: 3))),
                ]),
            ])
        let cut = EmbeddedScore(Self.timed.interrupted(.truncation, afterTokens: 2), start: start, inputTokens: 0, limit: nil).bars
        #expect(cut == Array(bars.prefix(4)) + [.truncate])
        let silent = EmbeddedScore(Self.timed.interrupted(.hang, afterTokens: 0), start: start, inputTokens: 0, limit: nil).bars
        #expect(silent == [.wait(.milliseconds(100)), .hang])
    }

    @Test func `survives any script`() async throws {
        for text in ["{}", "[]", "null", "{\"steps\":[]}", "{\"tokenDelayMilliseconds\":-1}", "{\"interruption\":{}}", "{\"tokens\":[1]}"] {
            _ = try? await EmbeddedProvider().generate(LLMRequest(model: "embedded/script", messages: [.user(text)], maxOutputTokens: -1))
        }
    }

    @Test func `scripts pass through JSON`() throws {
        let script = EmbeddedScript(
            [
                Self.timed.interrupted(.hang, afterTokens: 3), .calling([LLMToolCall(id: "c", name: "n", arguments: "")]),
                .failing(LLMError(.overloaded, "x")), Self.timed.interrupted(.truncation, afterTokens: 0),
            ], key: "k")
        #expect(try EmbeddedScript(json: JSONValue(parsing: script.json.text)) == script)
    }
}

@Suite struct `The registry of providers` {
    @Test func `finds a provider by the prefix of the model`() throws {
        let registry = try ProviderRegistry.standard(environment: ["OPENAI_API_KEY": "sk-1"])
        #expect(try registry.provider(for: "embedded/pirate").name == "embedded")
        #expect(try registry.provider(for: "gpt-4.1-mini").name == "openai")
        #expect(throws: LLMError(.modelNotFound, "")) { try registry.provider(for: "embedded/parrot") }
        #expect(throws: LLMError(.modelNotFound, "")) { try registry.provider(for: "gemini/flash") }
        #expect(try ProviderRegistry.standard(environment: [:]).providers.map(\.name) == ["embedded"])
    }

    @Test func `refuses names that would collide or route nowhere`() {
        #expect(throws: (any Error).self) { try ProviderRegistry([EmbeddedProvider(), EmbeddedProvider()]) }
        #expect(throws: (any Error).self) { try ProviderRegistry.standard(environment: ["OPENAI_BASE_URL": "ftp://x"]) }
    }

    @Test func `runs a call, and fails like one when there is no provider`() async throws {
        let registry = try ProviderRegistry.standard(environment: [:])
        #expect(try await registry.generate(LLMRequest(model: "embedded/echo", messages: [.user("hi")])).text == "hi")
        await #expect(throws: LLMError(.modelNotFound, "")) { try await registry.generate(LLMRequest(model: "x/y", messages: [])) }
    }
}
