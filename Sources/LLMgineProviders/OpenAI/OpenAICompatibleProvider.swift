public import AsyncHTTPClient
public import LLMgineCore
public import LLMgineLLM
public import Logging
import NIOCore
import NIOHTTP1

/// OpenAI, and every server that speaks its chat completions: vLLM, llama.cpp, Ollama, LiteLLM and many more.
///
/// ```swift
/// let provider = try OpenAICompatibleProvider(.init(baseURL: "http://localhost:11434/v1", name: "local"))
/// let answer = try await provider.generate(LLMRequest(model: "local/llama3", messages: [.user("hello")]))
/// ```
/// A failure before the first content is retried as ``Configuration/retry`` says. The key appears in the header of the call and nowhere else.
public struct OpenAICompatibleProvider: LLMProvider {
    /// What is needed to reach a server.
    public struct Configuration: Sendable {
        /// The address up to and with `/v1`.
        public var baseURL: String
        /// The key, nil for servers without one.
        public var apiKey: String? {
            get { secret?.value }
            set { secret = newValue.map(Secret.init) }
        }
        /// The prefix of the models' names, and the key of the extensions.
        public var name: String
        /// The models that the server has; empty to ask it for any.
        public var models: [String]
        /// Which of two habits the server has.
        public var dialect: OpenAIDialect
        /// The time of a call that does not set its own: 600 s, as in OpenAI's clients.
        public var timeout: Duration
        /// What happens to calls that fail before their first content.
        public var retry: LLMRetryPolicy
        /// Further headers of each call, as `OpenAI-Project`.
        public var headers: [String: String]

        var secret: Secret?

        /// Creates a configuration; the default address is OpenAI's.
        public init(
            baseURL: String = "https://api.openai.com/v1", apiKey: String? = nil, name: String = LLMModelName.defaultProvider,
            models: [String] = [],
            dialect: OpenAIDialect? = nil, timeout: Duration = .seconds(600), retry: LLMRetryPolicy = LLMRetryPolicy(),
            headers: [String: String] = [:]
        ) {
            self.baseURL = baseURL
            self.name = name
            self.models = models
            self.dialect = dialect ?? .suggested(forBaseURL: baseURL)
            self.timeout = timeout
            self.retry = retry
            self.headers = headers
            self.secret = apiKey.map(Secret.init)
        }
    }

    private let configuration: Configuration
    private let endpoint: String
    private let client: HTTPClient
    private let clock: any Clock<Duration>
    private let logger: Logger

    /// The configured name, `openai` unless set.
    public var name: String { configuration.name }
    /// The configured models.
    public var models: [String] { configuration.models }

    /// Creates the provider. Nothing is sent before the first call.
    /// - Parameters:
    ///   - configuration: where the server is.
    ///   - client: makes the calls; the process's shared one unless given.
    ///   - clock: measures timeouts and the waits between attempts.
    ///   - logger: gets a debug line for each refused call; never a prompt, an answer or a key.
    /// - Throws: `invalidConfiguration` if the address is not `http://` or `https://` with a host.
    public init(
        _ configuration: Configuration, client: HTTPClient = .shared, clock: any Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "llmgine.providers.openai")
    ) throws(LLMgineError) {
        let address = configuration.baseURL.trimmingTrailingSlashes
        guard
            ["http://", "https://"].contains(where: {
                address.hasPrefix($0) && address.count > $0.count && !address.dropFirst($0.count).hasPrefix("/")
            }),
            address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            throw LLMgineError(
                .invalidConfiguration, "the base URL of provider \"\(configuration.name)\" is not an http:// or https:// address")
        }
        self.configuration = configuration
        self.endpoint = address + "/chat/completions"
        self.client = client
        self.clock = clock
        self.logger = logger
    }

    /// Takes `OPENAI_BASE_URL` and `OPENAI_API_KEY`; nil if neither is set, because then nobody wanted it.
    /// - Throws: `invalidConfiguration` if the address cannot be used.
    public init?(
        environment: [String: String], client: HTTPClient = .shared, logger: Logger = Logger(label: "llmgine.providers.openai")
    ) throws(LLMgineError) {
        let key = environment["OPENAI_API_KEY"].flatMap { $0.isEmpty ? nil : $0 }
        let address = environment["OPENAI_BASE_URL"].flatMap { $0.isEmpty ? nil : $0 }
        guard key != nil || address != nil else { return nil }
        var configuration = Configuration(apiKey: key)
        if let address { configuration = Configuration(baseURL: address, apiKey: key) }
        try self.init(configuration, client: client, logger: logger)
    }

    /// Everything: what a particular model lacks, its server says.
    public func capabilities(of model: String) -> LLMCapabilities { .all }

    /// Prepares a call.
    public func stream(_ request: LLMRequest) -> LLMEventStream {
        var encoder = OpenAIRequestEncoder(provider: name, model: localName(of: request.model), dialect: configuration.dialect)
        var body = ByteBuffer()
        encoder.body(of: request).write(into: &body)
        let call = httpRequest(body: body, for: request)
        let start = LLMStart(model: encoder.model, provider: name, warnings: encoder.warnings)
        let (client, secret, logger, size) = (client, configuration.secret, logger, body.readableBytes)
        let timeout = request.execution.timeout ?? configuration.timeout
        return LLMEventStream(retrying: configuration.retry, timeout: timeout, clock: clock) { deadline in
            let exchange = OpenAIExchange(
                call, client: client, deadline: deadline, secret: secret, start: start, inputBytes: size, logger: logger)
            return exchange.pull
        }
    }

    private func httpRequest(body: ByteBuffer, for request: LLMRequest) -> HTTPClientRequest {
        var call = HTTPClientRequest(url: endpoint)
        call.method = .POST
        for (name, value) in configuration.headers { call.headers.replaceOrAdd(name: name, value: value) }
        call.headers.replaceOrAdd(name: "content-type", value: "application/json")
        call.headers.replaceOrAdd(name: "accept", value: "text/event-stream, application/json")
        call.headers.replaceOrAdd(name: "user-agent", value: "llmgine")
        if let secret = configuration.secret { call.headers.replaceOrAdd(name: "authorization", value: "Bearer \(secret.value)") }
        if let id = request.id, id.fitsHeader { call.headers.replaceOrAdd(name: "x-client-request-id", value: id) }
        if let key = request.execution.idempotencyKey, key.fitsHeader { call.headers.replaceOrAdd(name: "idempotency-key", value: key) }
        call.body = .bytes(body)
        return call
    }
}

extension OpenAICompatibleProvider: CustomReflectable {
    /// The name and the address only: the HTTP client below holds requests, and these hold the key.
    public var customMirror: Mirror { Mirror(self, children: ["name": name, "baseURL": configuration.baseURL]) }
}

extension String {
    fileprivate var trimmingTrailingSlashes: String {
        var text = self
        while text.hasSuffix("/") { text.removeLast() }
        return text
    }

    /// Visible ASCII of at most 512 bytes.
    fileprivate var fitsHeader: Bool { !isEmpty && utf8.count <= 512 && utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
}
