import LLMgineCore
import LLMgineLLM
import LLMgineProviders
import LLMgineTestKit
import Logging
import NIOCore
import Synchronization
import Testing

@Suite struct `The OpenAI-compatible provider` {
    typealias Reply = MockOpenAIServer.Reply

    static let secret = "sk-very-secret-0123456789"

    static func provider(
        _ server: MockOpenAIServer, clock: any Clock<Duration> = ContinuousClock(), retry: LLMRetryPolicy = .none, logger: Logger? = nil
    ) throws -> OpenAICompatibleProvider {
        try OpenAICompatibleProvider(
            .init(baseURL: server.baseURL, apiKey: secret, retry: retry), clock: clock,
            logger: logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    static func asking(_ model: String) -> LLMRequest { LLMRequest(model: model, messages: [.user("hello")]) }

    @Test func `conforms`() async throws {
        let scenarios: [String: [Reply]] = [
            "hello": [.stream(Chunk.hello)], "calls": [.stream(Chunk.parallelCalls)],
            "hang": [.stream([Chunk.text("some")], done: false, ending: .hang)], "cut": [.stream([Chunk.text("some")], done: false)],
            "unauthorized": [.json(401, #"{"error":{"message":"no","code":"invalid_api_key"}}"#)],
            "limited": [.json(429, #"{"error":{"message":"slow","code":"rate_limit_exceeded"}}"#)],
            "broke": [.json(429, #"{"error":{"message":"pay","code":"insufficient_quota"}}"#)], "down": [.json(500, "oops")],
            "inBand": [.stream([#"{"error":{"message":"m","code":"server_is_overloaded"}}"#], done: false)],
            "empty": [.stream([], done: false)],
            "html": [Reply(headers: ["content-type": "text/html"], pieces: [ByteBuffer(string: "<html>hi</html>")])],
        ]
        let findings = try await MockOpenAIServer.serving(scenarios) { server in
            let codes: [(String, LLMError.Code)] = [
                ("unauthorized", .authentication), ("limited", .rateLimited), ("broke", .quotaExhausted), ("down", .providerInternal),
                ("inBand", .overloaded), ("empty", .truncatedStream), ("html", .truncatedStream),
            ]
            let situations = ProviderConformance.Situations(
                answer: Self.asking("hello"), toolCalls: Self.asking("calls"), hang: Self.asking("hang"), cut: Self.asking("cut"),
                failures: codes.map { (Self.asking($0), $1) }, isReleased: { await server.closed() })
            return await ProviderConformance(try Self.provider(server), situations).findings()
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test(arguments: [1, 2, 3, 7, 64]) func `reads an answer in pieces of any size`(size: Int) async throws {
        let scenarios = ["m": [Reply.stream(Chunk.hello).split(every: size)], "n": [.stream(Chunk.parallelCalls).split(every: size)]]
        try await MockOpenAIServer.serving(scenarios) { server in
            let provider = try Self.provider(server)
            let answer = try await provider.generate(Self.asking("m"))
            #expect(answer.text == "Hello ü😀")
            #expect(answer.usage.input.total == 9)
            #expect(answer.model == "m-2026")
            #expect(answer.id == "chatcmpl-9")
            #expect(try await provider.generate(Self.asking("n")).toolCalls.map(\.id) == ["call_1", "call_2"])
        }
    }

    @Test func `sends what the server expects, and the key in its header only`() async throws {
        try await MockOpenAIServer.serving(["llama/3": [.stream(Chunk.hello)]]) { server in
            var request = LLMRequest(model: "openai/llama/3", messages: [.user("hello")], temperature: 0)
            request.id = "call-7"
            request.execution.idempotencyKey = "once"
            _ = try await Self.provider(server).generate(request)
            let sent = try #require(server.requests.first)
            #expect(sent.headers["authorization"] == "Bearer \(Self.secret)")
            #expect(sent.headers["content-type"] == "application/json")
            #expect(sent.headers["x-client-request-id"] == "call-7")
            #expect(sent.headers["idempotency-key"] == "once")
            #expect(sent.body["temperature"] == 0.0)
            #expect(!sent.body.text.contains(Self.secret))
        }
    }

    @Test func `retries before the first content, exactly when the server asks`() async throws {
        let scenarios = [
            "m": [
                Reply.json(429, #"{"error":{"message":"slow"}}"#, headers: ["retry-after": "2"]),
                .stream([#"{"error":{"message":"busy","code":"server_is_overloaded"}}"#], done: false), .stream(Chunk.hello),
            ]
        ]
        try await MockOpenAIServer.serving(scenarios) { server in
            let clock = ManualClock()
            let provider = try Self.provider(server, clock: clock, retry: LLMRetryPolicy(firstDelay: .zero))
            async let answer = provider.generate(Self.asking("m"))
            await clock.sleeper(for: .seconds(2))
            #expect(server.requests.count == 1)
            clock.advance(by: .seconds(2))
            let text = try await answer.text
            #expect(text == "Hello ü😀")
            #expect(server.requests.count == 3)
        }
    }

    @Test func `gives up after two retries`() async throws {
        try await MockOpenAIServer.serving(["m": [.json(500, "")]]) { server in
            let provider = try Self.provider(server, retry: LLMRetryPolicy(firstDelay: .zero))
            await #expect(throws: LLMError(.providerInternal, "")) { try await provider.generate(Self.asking("m")) }
            #expect(server.requests.count == 3)
        }
    }

    @Test func `fails at once when it is asked to wait longer than the call has`() async throws {
        let reply = Reply.json(429, "{}", headers: ["retry-after": "30", "x-request-id": "req_1"])
        try await MockOpenAIServer.serving(["m": [reply]]) { server in
            var request = Self.asking("m")
            request.execution.timeout = .seconds(20)
            let asked = request
            let provider = try Self.provider(server, retry: LLMRetryPolicy())
            let error = await #expect(throws: LLMError.self) { try await provider.generate(asked) }
            #expect(error?.code == .rateLimited)
            #expect(error?.retryAfter == .seconds(30))
            #expect(error?.requestID == "req_1")
            #expect(error?.httpStatus == 429)
            #expect(server.requests.count == 1)
        }
    }

    @Test func `does not retry what cannot succeed, or what was begun`() async throws {
        let scenarios: [String: [Reply]] = [
            "key": [.json(401, "{}")],
            "begun": [.stream([Chunk.text("some"), #"{"error":{"message":"m","type":"server_error"}}"#], done: false)],
            "told": [.json(500, "", headers: ["x-should-retry": "false"])],
        ]
        try await MockOpenAIServer.serving(scenarios) { server in
            let provider = try Self.provider(server, retry: LLMRetryPolicy(firstDelay: .zero))
            await #expect(throws: LLMError(.authentication, "")) { try await provider.generate(Self.asking("key")) }
            await #expect(throws: LLMError(.providerInternal, "")) { try await provider.generate(Self.asking("told")) }
            let error = await #expect(throws: LLMError.self) { try await provider.generate(Self.asking("begun")) }
            #expect(error?.deliveredText == "some")
            #expect(error?.deliveredBytes == 4)
            #expect(server.requests.count == 3)
        }
    }

    @Test func `treats a connection that breaks as a cut`() async throws {
        try await MockOpenAIServer.serving(["m": [.stream([Chunk.text("some")], done: false, ending: .abort)]]) { server in
            let error = await #expect(throws: LLMError.self) { try await Self.provider(server).generate(Self.asking("m")) }
            #expect(error?.code == .truncatedStream)
            #expect(error?.deliveredText == "some")
        }
    }

    @Test func `closes the connection when the time of the call is over`() async throws {
        let scenarios = [
            "m": [Reply.stream([Chunk.text("some")], done: false, ending: .hang)], "silent": [.stream([], done: false, ending: .hang)],
        ]
        try await MockOpenAIServer.serving(scenarios) { server in
            for model in ["m", "silent"] {
                let clock = ManualClock()
                var request = Self.asking(model)
                request.execution.timeout = .seconds(5)
                let (provider, asked) = (try Self.provider(server, clock: clock), request)
                var iterator = provider.stream(asked).makeAsyncIterator()
                if model == "m" { _ = try await iterator.nextChunk() }
                async let turned: Void = {
                    await server.hangs()
                    await clock.sleeper(for: .seconds(5))
                    clock.advance(by: .seconds(5))
                }()
                await #expect(throws: LLMError(.deadlineExceeded, "")) {
                    while try await iterator.nextChunk() != nil {}
                }
                await turned
                await server.closed()
            }
        }
    }

    @Test func `reads an answer that came whole although a stream was asked for`() async throws {
        let body =
            #"{"id":"c","object":"chat.completion","model":"m-1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi","refusal":null}}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#
        try await MockOpenAIServer.serving(["m": [.json(200, body)]]) { server in
            let answer = try await Self.provider(server).generate(Self.asking("m"))
            #expect(answer.text == "Hi")
            #expect(answer.usage.output.total == 2)
        }
    }

    @Test func `uses a connection again after a complete answer`() async throws {
        try await MockOpenAIServer.serving(["m": [.stream(Chunk.hello)]]) { server in
            let provider = try Self.provider(server)
            for _ in 0..<3 { #expect(try await provider.generate(Self.asking("m")).text == "Hello ü😀") }
        }
    }

    @Test func `says that a server cannot be reached`() async throws {
        let provider = try OpenAICompatibleProvider(
            .init(baseURL: "http://127.0.0.1:1/v1", apiKey: Self.secret, timeout: .milliseconds(300), retry: .none))
        let error = await #expect(throws: LLMError.self) { try await provider.generate(Self.asking("m")) }
        #expect([.connection, .timeout, .deadlineExceeded].contains(error?.code))
    }

    @Test func `never shows its key`() async throws {
        let echo = #"{"error":{"message":"Incorrect API key provided: \#(Self.secret).","code":"invalid_api_key"}}"#
        try await MockOpenAIServer.serving(["m": [.json(401, echo)], "n": [.stream([echo], done: false)]]) { server in
            let log = LogCapture()
            let provider = try Self.provider(server, logger: log.logger)
            for model in ["m", "n"] {
                let error = await #expect(throws: LLMError.self) { try await provider.generate(Self.asking(model)) }
                #expect(error?.message.contains("***") == true)
                #expect(error?.json.text.contains(Self.secret) == false)
            }
            var dumped = ""
            dump(provider, to: &dumped)
            #expect(!dumped.contains(Self.secret))
            #expect(!log.text.contains(Self.secret))
            #expect(log.text.contains("refused"))
            #expect(!log.text.contains("hello"))
        }
    }

    @Test(arguments: ["", "api.openai.com", "ftp://x/v1", "http://", "https:///v1", "http://x y/v1"])
    func `refuses an address that is none`(address: String) {
        #expect(throws: LLMgineError(.invalidConfiguration, "")) { try OpenAICompatibleProvider(.init(baseURL: address)) }
    }

    @Test func `is set up from the environment, or not at all`() throws {
        #expect(try OpenAICompatibleProvider(environment: [:]) == nil)
        #expect(try OpenAICompatibleProvider(environment: ["OPENAI_API_KEY": ""]) == nil)
        #expect(try OpenAICompatibleProvider(environment: ["OPENAI_BASE_URL": "http://localhost:9931/v1/"])?.name == "openai")
        #expect(OpenAIDialect.suggested(forBaseURL: "https://api.openai.com/v1") == .openAI)
        #expect(OpenAIDialect.suggested(forBaseURL: "https://api.openai.com.evil.org/v1") == .compatible)
    }
}

/// Keeps what is logged.
private final class LogCapture: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }
    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(capture: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let capture: LogCapture
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            capture.lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
        }
    }
}
