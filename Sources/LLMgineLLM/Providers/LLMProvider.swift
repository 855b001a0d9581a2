/// A source of answers: a vendor's service, a local server, or rules.
///
/// A provider passes `ProviderConformance` of the test kit before it has any test of its own.
public protocol LLMProvider: Sendable {
    /// The name before the slash of a model's name: one or more of `a-z 0-9 - _`.
    var name: String { get }
    /// The models that it is known to have, without the prefix. Empty if only its server knows.
    var models: [String] { get }
    /// Whether a request for the model, named without the prefix, makes sense here.
    func offers(_ model: String) -> Bool
    /// What the model can do, named without the prefix.
    func capabilities(of model: String) -> LLMCapabilities
    /// Prepares a call, which starts when the stream is iterated. The request's model may have the provider's prefix.
    ///
    /// Every failure, that of preparing too, is thrown by the stream. The stream ends the call when it is dropped or its task is cancelled, and within
    /// `request.execution.timeout`.
    func stream(_ request: LLMRequest) -> LLMEventStream
}

extension LLMProvider {
    /// One of ``models``, or anything if these are not known.
    public func offers(_ model: String) -> Bool { models.isEmpty || models.contains(model) }

    /// Runs a call to its end. - Throws: what the stream throws, with the text that had arrived in `deliveredText`.
    public func generate(_ request: LLMRequest) async throws(LLMError) -> LLMResponse {
        try await stream(request).response()
    }
}
