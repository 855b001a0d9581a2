/// Holds back the beginning of an answer until its first content, so that an attempt which fails before can be replaced by another one unseen.
package struct StreamPrelude: Sendable {
    /// The most events that are held. One more, and the attempt counts as delivered.
    package static let limit = 64

    private var held: [LLMStreamEvent.Kind] = []
    /// Whether the caller has seen some of the answer: from now on a failure is final.
    package private(set) var isOver = false

    package init() {}

    /// Takes what an attempt delivered and returns what may be shown: nothing, or all from the first event on.
    package mutating func admit(_ kinds: [LLMStreamEvent.Kind]) -> [LLMStreamEvent.Kind] {
        guard !isOver else { return kinds }
        held += kinds
        guard held.count > Self.limit || held.contains(where: \.isContent) else { return [] }
        isOver = true
        defer { held = [] }
        return held
    }

    /// The attempt failed before its first content: forget it.
    package mutating func discard() { held = [] }
}
