import LLMgineCore
import LLMgineResilience
import NIOCore
import Testing

extension DeadLetterStore {
    fileprivate mutating func add(_ sequence: UInt64) -> (id: UInt64, evicted: DeadLetter?) {
        add(
            message: MessageID(node: "a", incarnation: Incarnation(1), sequence: sequence),
            content: Message(topic: "a.b", payload: ByteBuffer()),
            subscription: "s", error: LLMgineError(.handlerFailed, "no"), attempts: 4, firstAttempt: .seconds(1), lastAttempt: .seconds(2))
    }
}

@Suite struct `A dead letter store` {
    @Test func `keeps letters in the order in which they came`() {
        var store = DeadLetterStore()
        for sequence in 1...5 as ClosedRange<UInt64> { _ = store.add(sequence) }
        #expect(store.list().map(\.message.sequence) == [1, 2, 3, 4, 5])
        #expect(store.list(after: 2, limit: 2).map(\.id) == [3, 4])
        #expect(store.list(limit: 2).map(\.id) == store.list(limit: 2).map(\.id))
        #expect(store[3]?.attempts == 4)
        #expect(store[9]?.id == nil)
    }

    @Test func `gives a letter out once`() {
        var store = DeadLetterStore()
        let id = store.add(1).id
        #expect(store.take(id)?.message.sequence == 1)
        #expect(store.take(id)?.id == nil)
        #expect(store.isEmpty)
    }

    @Test func `lets the oldest go at capacity and counts it`() {
        var store = DeadLetterStore(capacity: 3)
        for sequence in 1...3 as ClosedRange<UInt64> { #expect(store.add(sequence).evicted?.id == nil) }
        store.take(1)
        #expect(store.add(4).evicted?.id == nil)
        #expect(store.add(5).evicted?.id == 2)
        #expect(store.add(6).evicted?.id == 3)
        #expect(store.count == 3)
        #expect(store.evicted == 2)
        #expect(store.added == 6)
        #expect(store.takeAll().map(\.id) == [4, 5, 6])
        #expect(store.isEmpty)
    }
}
