public import LLMgineCore
public import Tracing

extension ServiceContext {
    /// The span that this task works for. The bus sets it around handlers, so that what they publish and trace belongs to the event that they handle.
    public var llmgineTrace: TraceContext? {
        get { self[TraceContextKey.self] }
        set { self[TraceContextKey.self] = newValue }
    }

    private enum TraceContextKey: ServiceContextKey {
        typealias Value = TraceContext
        static let nameOverride: String? = "llmgine-trace"
    }
}
