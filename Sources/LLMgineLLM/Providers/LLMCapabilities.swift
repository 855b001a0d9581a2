/// What a model can do, as far as a request may need it.
public struct LLMCapabilities: OptionSet, Sendable, Hashable {
    /// One bit for each capability.
    public let rawValue: Int
    /// Wraps bits.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Calls tools.
    public static let tools = LLMCapabilities(rawValue: 1 << 0)
    /// Answers in JSON, and in JSON that keeps a schema.
    public static let structuredOutput = LLMCapabilities(rawValue: 1 << 1)
    /// Takes pictures.
    public static let images = LLMCapabilities(rawValue: 1 << 2)
    /// Takes sound.
    public static let audio = LLMCapabilities(rawValue: 1 << 3)
    /// Takes documents.
    public static let files = LLMCapabilities(rawValue: 1 << 4)
    /// Everything.
    public static let all: LLMCapabilities = [.tools, .structuredOutput, .images, .audio, .files]

    private static let names: [(LLMCapabilities, String)] = [
        (.tools, "tools"), (.structuredOutput, "structured output"), (.images, "images"), (.audio, "audio"), (.files, "files"),
    ]

    /// What the request needs.
    public static func required(by request: LLMRequest) -> LLMCapabilities {
        var needed: LLMCapabilities = []
        if !request.tools.isEmpty { needed.insert(.tools) }
        if request.responseFormat != .text { needed.insert(.structuredOutput) }
        for part in request.messages.lazy.flatMap(\.parts) {
            switch part {
            case .image: needed.insert(.images)
            case .audio: needed.insert(.audio)
            case .file: needed.insert(.files)
            case .text, .toolCall, .toolResult, .reasoning: break
            }
        }
        return needed
    }

    /// Refuses, before anything is sent, a request that needs more. - Throws: `unsupportedCapability`, naming what is missing.
    public func check(_ request: LLMRequest) throws(LLMError) {
        let missing = Self.required(by: request).subtracting(self)
        guard !missing.isEmpty else { return }
        let names = Self.names.filter { missing.contains($0.0) }.map(\.1).joined(separator: ", ")
        throw LLMError(.unsupportedCapability, "model \"\(request.model)\" does not have: \(names)")
    }
}
