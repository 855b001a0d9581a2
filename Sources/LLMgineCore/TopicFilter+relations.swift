extension TopicFilter {
    /// Whether some topic matches both filters.
    package func overlaps(_ other: TopicFilter) -> Bool {
        let (ours, theirs) = (tokens, other.tokens)
        for index in 0..<max(ours.count, theirs.count) {
            guard index < ours.count, index < theirs.count else { return false }
            if ours[index] == ">" || theirs[index] == ">" { return true }  // both have a token here, which is all that `>` asks for
            guard ours[index] == theirs[index] || ours[index] == "*" || theirs[index] == "*" else { return false }
        }
        return true
    }

    /// Whether every topic that matches the other filter matches this one.
    package func covers(_ other: TopicFilter) -> Bool {
        let (ours, theirs) = (tokens, other.tokens)
        for index in 0..<max(ours.count, theirs.count) {
            guard index < ours.count, index < theirs.count else { return false }
            if ours[index] == ">" { return true }
            guard theirs[index] != ">", ours[index] == "*" || ours[index] == theirs[index] else { return false }
        }
        return true
    }

    private var tokens: [Substring] { text.split(separator: ".") }
}
