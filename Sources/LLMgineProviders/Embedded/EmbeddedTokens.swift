/// What the embedded models count as tokens: a word with the white space before it.
package enum EmbeddedTokens {
    /// The longest token, in characters; a longer word is several tokens.
    private static let longest = 32

    /// The tokens of a text. Joined, they are the text again.
    package static func split(_ text: String) -> [String] {
        var tokens: [String] = []
        var token = ""
        var count = 0
        var hasWord = false
        for character in text {
            let isSpace = character.isWhitespace
            if (isSpace && hasWord) || count == longest {
                tokens.append(token)
                token = ""
                count = 0
                hasWord = false
            }
            token.append(character)
            count += 1
            if !isSpace { hasWord = true }
        }
        if !token.isEmpty { tokens.append(token) }
        return tokens
    }
}
