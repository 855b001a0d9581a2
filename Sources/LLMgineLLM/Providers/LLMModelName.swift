public import LLMgineCore

/// The name of a model in two parts: who has it, and what it is called there.
///
/// What stands before the first slash is the provider: `embedded/pirate`, `openai/meta-llama/llama-3`. A name without a slash belongs to the
/// OpenAI-compatible provider, so that `gpt-4.1-mini` means what it says everywhere.
public struct LLMModelName: Sendable, Hashable, CustomStringConvertible {
    /// The provider of a name without a prefix.
    public static let defaultProvider = "openai"

    /// The provider's name.
    public let provider: String
    /// The model's name there, possibly with slashes.
    public let model: String

    /// Puts a name together.
    public init(provider: String, model: String) {
        self.provider = provider
        self.model = model
    }

    /// Takes a name apart. - Throws: `modelNotFound` if either part is empty.
    public init(_ text: String) throws(LLMError) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let provider = parts.count == 2 ? String(parts[0]) : Self.defaultProvider
        let model = parts.last.map(String.init) ?? ""
        guard !provider.isEmpty, !model.isEmpty else {
            throw LLMError(.modelNotFound, "\"\(text.printable)\" is not a model name: write provider/model")
        }
        self.init(provider: provider, model: model)
    }

    /// `provider/model`.
    public var description: String { "\(provider)/\(model)" }
}

extension LLMModelName {
    /// Where requests for the model are published: `llmgine.llm.<provider>.<model>`. What a topic may not hold becomes `_`, and what is too long is cut,
    /// which is harmless because the request carries the name itself.
    public var topic: Topic { Topic(stringLiteral: Self.prefix + Self.token(provider) + "." + Self.tokens(model)) }

    /// The filter under which a worker of the provider receives its requests: `llmgine.llm.<provider>.>`.
    public static func filter(provider: String) -> TopicFilter { TopicFilter(stringLiteral: prefix + token(provider) + ".>") }

    private static let prefix = "llmgine.llm."
    private static let longestProvider = 64
    private static let longestModel = 160
    private static let mostTokens = 24

    /// One token: dots are no boundaries here.
    private static func token(_ text: String) -> String { sanitized(text, limit: longestProvider, mostTokens: 1) }

    /// Dots of the name stay boundaries of tokens, as in `gpt-4.1`, where the grammar of topics lets them.
    private static func tokens(_ text: String) -> String { sanitized(text, limit: longestModel, mostTokens: mostTokens) }

    private static func sanitized(_ text: String, limit: Int, mostTokens: Int) -> String {
        var result = ""
        var tokens = 1
        for scalar in text.unicodeScalars {
            let allowed: Bool
            if scalar == "." {
                allowed = tokens < mostTokens && !result.isEmpty && result.utf8.last != UInt8(ascii: ".")
                if allowed { tokens += 1 }
            } else {
                allowed = scalar.value > 0x20 && scalar.value != 0x7F && scalar != "*" && scalar != ">"
            }
            let next: Unicode.Scalar = allowed ? scalar : "_"
            guard result.utf8.count + UTF8.width(next) <= limit else { break }
            result.unicodeScalars.append(next)
        }
        if result.utf8.last == UInt8(ascii: ".") { result = String(result.dropLast()) + "_" }
        return result.isEmpty ? "_" : result
    }
}
