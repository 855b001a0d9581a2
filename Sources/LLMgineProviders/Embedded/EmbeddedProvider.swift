import LLMgineCore
public import LLMgineLLM
import Synchronization

/// Models that are rules: deterministic, without a key, a network or a cost. They stream token by token and count their tokens.
///
/// | model | answers with |
/// |---|---|
/// | `embedded/pirate` | the last user message, as a pirate would say it |
/// | `embedded/echo` | the last user message |
/// | `embedded/script` | what an ``EmbeddedScript`` says, which is the JSON in `extensions["embedded"]` or else in the last user message |
///
/// The first two take `{"firstTokenDelayMilliseconds": n, "tokenDelayMilliseconds": n}` as `extensions["embedded"]`.
public final class EmbeddedProvider: LLMProvider {
    /// `embedded`.
    public let name = "embedded"
    /// `pirate`, `echo` and `script`.
    public let models = ["pirate", "echo", "script"]

    private let clock: any Clock<Duration>
    private let retry: LLMRetryPolicy
    private let calls = Mutex(CallCounter())

    /// Creates the provider.
    /// - Parameters:
    ///   - clock: measures delays and timeouts.
    ///   - retry: what happens to scripted failures before the first token; by default nothing, so that the caller sees them.
    public init(clock: any Clock<Duration> = ContinuousClock(), retry: LLMRetryPolicy = .none) {
        self.clock = clock
        self.retry = retry
    }

    /// Scripts call tools and say anything; the other two only talk.
    public func capabilities(of model: String) -> LLMCapabilities { model == "script" ? .all : [] }

    /// Prepares a call. Its timeout counts scripted delays.
    public func stream(_ request: LLMRequest) -> LLMEventStream {
        LLMEventStream(retrying: retry, timeout: request.execution.timeout, clock: clock) { deadline in
            var bars: ArraySlice<EmbeddedScore.Bar>?
            return { () async throws(LLMError) in
                while true {
                    var rest = if let bars { bars } else { try self.score(of: request).bars[...] }
                    let bar = rest.popFirst()
                    bars = rest
                    switch bar {
                    case .deliver(let kinds): return kinds
                    case .wait(let duration): try await deadline.sleep(for: duration)
                    case .fail(let error): throw error
                    case .hang: try await deadline.sleepForever()
                    case .truncate, nil: return nil
                    }
                }
            }
        }
    }

    private func score(of request: LLMRequest) throws(LLMError) -> EmbeddedScore {
        let model = localName(of: request.model)
        guard offers(model) else { throw LLMError(.modelNotFound, "there is no model \"\(model.printable)\" here", provider: name) }
        try capabilities(of: model).check(request)
        let text = request.messages.last { $0.role == .user }?.text ?? ""
        do {
            let step = try step(of: request, model: model, text: text)
            let id = "embedded-" + String(PirateSpeech.fingerprint(of: model + "\u{0}" + text), radix: 36)
            let input = request.messages.reduce(0) { $0 + EmbeddedTokens.split($1.text).count }
            let start = LLMStart(id: id, model: model, provider: name)
            return EmbeddedScore(step, start: start, inputTokens: input, limit: request.maxOutputTokens)
        } catch {
            throw LLMError(.invalidRequest, "extensions.embedded: \(error.detail)", provider: name)
        }
    }

    private func step(of request: LLMRequest, model: String, text: String) throws(LLMgineError) -> EmbeddedScript.Step {
        let setting = request.extensions[name]
        if model == "script" {
            let script =
                if let setting { try EmbeddedScript(json: setting) } else { try EmbeddedScript(json: try JSONValue(parsing: text)) }
            let key = script.key ?? script.json.text
            let call = calls.withLock { $0.count(key) }
            return script.steps[min(call, script.steps.count - 1)]
        }
        return .answering(
            model == "pirate" ? PirateSpeech.translate(text) : text,
            firstTokenDelay: try setting?.delay("firstTokenDelayMilliseconds") ?? .zero,
            tokenDelay: try setting?.delay("tokenDelayMilliseconds") ?? .zero)
    }
}

/// How often each script was called, for the scripts called last.
private struct CallCounter {
    private static let mostKeys = 1024

    private var counts: [String: Int] = [:]
    private var keys: [String] = []

    /// 0 for the first call.
    mutating func count(_ key: String) -> Int {
        if let count = counts[key] {
            counts[key] = count + 1
            return count
        }
        if keys.count == Self.mostKeys { counts[keys.removeFirst()] = nil }
        keys.append(key)
        counts[key] = 1
        return 0
    }
}
