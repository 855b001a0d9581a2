public import LLMgineCore
public import LLMgineLLM

/// The providers of a process, found by the prefix of a model's name.
public struct ProviderRegistry: Sendable {
    /// The providers, in the order given.
    public let providers: [any LLMProvider]

    /// Takes providers. - Throws: `invalidArgument` if two have one name, or a name holds anything but `a-z 0-9 - _`.
    public init(_ providers: [any LLMProvider]) throws(LLMgineError) {
        var names: Set<String> = []
        for provider in providers {
            guard Self.isValid(provider.name) else {
                throw LLMgineError(.invalidArgument, "provider name \"\(provider.name.printable)\": use a-z 0-9 - _")
            }
            guard names.insert(provider.name).inserted else {
                throw LLMgineError(.invalidArgument, "two providers are called \"\(provider.name)\"")
            }
        }
        self.providers = providers
    }

    /// What needs no set-up: the embedded provider, and the OpenAI-compatible one if the environment names a key or a server.
    /// - Throws: `invalidConfiguration` if `OPENAI_BASE_URL` is no HTTP address.
    public static func standard(environment: [String: String]) throws(LLMgineError) -> ProviderRegistry {
        var providers: [any LLMProvider] = [EmbeddedProvider()]
        if let openAI = try OpenAICompatibleProvider(environment: environment) { providers.append(openAI) }
        return try ProviderRegistry(providers)
    }

    /// The provider that has the model. - Throws: `modelNotFound`, saying which providers there are.
    public func provider(for model: String) throws(LLMError) -> any LLMProvider {
        let name = try LLMModelName(model)
        guard let provider = providers.first(where: { $0.name == name.provider }) else {
            let known = providers.map(\.name).joined(separator: ", ")
            throw LLMError(
                .modelNotFound, "no provider \"\(name.provider.printable)\" here for \"\(model.printable)\"; there are: \(known)")
        }
        guard provider.offers(name.model) else {
            throw LLMError(.modelNotFound, "there is no model \"\(name.model.printable)\" here", provider: provider.name)
        }
        return provider
    }

    /// Prepares a call at the provider that has the model. Every failure, also that of finding it, is thrown by the stream.
    public func stream(_ request: LLMRequest) -> LLMEventStream {
        do throws(LLMError) {
            return try provider(for: request.model).stream(request)
        } catch {
            return .failing(error)
        }
    }

    /// Runs a call to its end at the provider that has the model. - Throws: what the stream throws.
    public func generate(_ request: LLMRequest) async throws(LLMError) -> LLMResponse {
        try await stream(request).response()
    }

    private static func isValid(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 63
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
