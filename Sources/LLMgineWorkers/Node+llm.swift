public import LLMgineCore
public import LLMgineLLM
public import LLMgineNode

extension Node {
    /// Runs calls of models on the workers of the cluster, this node's own among them.
    public var llm: LLMClient {
        attachment(LLMClient.self) { LLMClient(bus: bus) }
    }

    /// Makes this node a worker: it runs calls for the whole cluster, as many at a time as it has slots.
    /// - Throws: `invalidArgument` for no provider, more than 16, two of one name, or no slot; `stopped`.
    @discardableResult
    public func offer(_ providers: [any LLMProvider], slots: Int = LLMWorker.defaultSlots) async throws(LLMgineError) -> LLMWorker {
        try await LLMWorker(providers: providers, slots: slots, on: bus)
    }
}
