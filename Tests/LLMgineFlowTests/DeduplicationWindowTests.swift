import LLMgineCore
import LLMgineFlow
import Testing

@Suite struct `A deduplication window` {
    private func id(_ sequence: UInt64, of node: NodeID = "a", _ incarnation: UInt64 = 1) -> MessageID {
        MessageID(node: node, incarnation: Incarnation(incarnation), sequence: sequence)
    }

    @Test func `knows each id once it has come, in whatever order`() {
        var window = DeduplicationWindow(ids: 4096)
        for sequence: UInt64 in [5, 1, 4000, 2] { #expect(window.arrived(id(sequence), at: .zero) == .new) }
        for sequence: UInt64 in [5, 1, 4000, 2] { #expect(window.arrived(id(sequence), at: .zero) == .known) }
        #expect(window.arrived(id(3), at: .zero) == .new)
    }

    @Test func `tells publishers and their lives apart`() {
        var window = DeduplicationWindow()
        #expect(window.arrived(id(1), at: .zero) == .new)
        #expect(window.arrived(id(1, of: "b"), at: .zero) == .new)
        #expect(window.arrived(id(1, of: "a", 2), at: .zero) == .new)
        #expect(window.arrived(id(1), at: .zero) == .known)
    }

    @Test func `does not take an id for known that it cannot know`() {
        var window = DeduplicationWindow(ids: 1024)
        #expect(window.arrived(id(10), at: .zero) == .new)
        #expect(window.arrived(id(100_000), at: .zero) == .new)
        // Same place in the table of pages, a lap later.
        for sequence: UInt64 in 1...10 where window.arrived(id(sequence + 1024 * 97), at: .zero) == .known {
            Issue.record("\(sequence) is not known")
        }
    }

    @Test func `knows so many ids below the highest, at the least`() {
        var window = DeduplicationWindow(ids: 10_000)
        for sequence: UInt64 in 1...50_000 { #expect(window.arrived(id(sequence), at: .zero) == .new) }
        for sequence: UInt64 in 40_001...50_000 { #expect(window.arrived(id(sequence), at: .zero) == .known) }
        #expect(window.arrived(id(1), at: .zero) == .tooOld)
    }

    @Test func `forgets a publisher that was silent for long, and the stalest of too many`() {
        var window = DeduplicationWindow(age: .seconds(600), publishers: 2)
        #expect(window.arrived(id(1), at: .zero) == .new)
        #expect(window.arrived(id(1), at: .seconds(600)) == .known)
        #expect(window.arrived(id(1), at: .seconds(1201)) == .new)
        #expect(window.arrived(id(1, of: "b"), at: .seconds(1202)) == .new)
        #expect(window.arrived(id(1, of: "c"), at: .seconds(1203)) == .new)
        #expect(window.publisherCount == 2)
        #expect(window.arrived(id(1, of: "b"), at: .seconds(1204)) == .known)
        #expect(window.arrived(id(1), at: .seconds(1205)) == .new)
    }

    @Test func `takes an id back`() {
        var window = DeduplicationWindow()
        #expect(window.arrived(id(7), at: .zero) == .new)
        window.forget(id(7))
        window.forget(id(8))
        #expect(window.arrived(id(7), at: .zero) == .new)
    }
}
