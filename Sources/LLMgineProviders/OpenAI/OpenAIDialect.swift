/// Where OpenAI and the servers that imitate it differ.
public enum OpenAIDialect: String, Sendable, Hashable, CaseIterable {
    /// OpenAI itself: `max_completion_tokens`, no `top_k`.
    case openAI
    /// Others: `max_tokens`, which is what most of them read, and `top_k`.
    case compatible

    /// OpenAI's own for an address there, the compatible one for any other.
    public static func suggested(forBaseURL baseURL: String) -> OpenAIDialect {
        baseURL.hasPrefix("https://api.openai.com/") || baseURL == "https://api.openai.com" ? .openAI : .compatible
    }
}
