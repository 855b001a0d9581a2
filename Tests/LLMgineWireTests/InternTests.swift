import LLMgineCore
import LLMgineWire
import Testing

@Suite struct `An intern table` {
    @Test func `numbers topics and event types in one sequence, each announced once`() throws {
        var table = InternTable()
        #expect(table.reference("a") == InternTable.Reference(id: 1, isNew: true))
        #expect(table.reference("a") == InternTable.Reference(id: 1, isNew: false))
        #expect(try table.reference(eventType: "OrderPlaced") == InternTable.Reference(id: 2, isNew: true))
        #expect(table.reference("b") == InternTable.Reference(id: 3, isNew: true))
        #expect(table.reference("a") == InternTable.Reference(id: 1, isNew: false))
        #expect(try table.reference(eventType: "OrderPlaced") == InternTable.Reference(id: 2, isNew: false))
    }

    @Test func `has no number left when it is full, and starts over when told`() throws {
        var table = InternTable(capacity: 2)
        _ = table.reference("a")
        _ = table.reference("b")
        #expect(table.reference("c") == nil)
        #expect(try table.reference(eventType: "T") == nil)
        #expect(table.reference("b") == InternTable.Reference(id: 2, isNew: false))
        table.startOver()
        #expect(table.generation == 1)
        #expect(table.reference("b") == InternTable.Reference(id: 1, isNew: true))
    }

    @Test func `keeps what is still used when it starts over, in the order that it had`() throws {
        var table = InternTable(capacity: 4)
        for topic in ["a", "b"] as [Topic] { _ = table.reference(topic) }
        _ = try table.reference(eventType: "T")
        _ = table.reference("c")
        let kept = table.startOver(keeping: [4, 3])
        #expect(kept.map(\.before) == [3, 4])
        #expect(kept.map(\.text) == ["T", "c"])
        #expect(table.reference("c") == InternTable.Reference(id: 2, isNew: false))
        #expect(try table.reference(eventType: "T") == InternTable.Reference(id: 1, isNew: false))
        #expect(table.reference("a") == InternTable.Reference(id: 3, isNew: true))
        #expect(table.startOver(keeping: []).isEmpty)
        #expect(table.reference("a") == InternTable.Reference(id: 1, isNew: true))
    }

    @Test func `refuses names that the receiver would refuse`() {
        var table = InternTable()
        #expect(throws: LLMgineError(.invalidArgument, "")) { try table.reference(eventType: "") }
        #expect(throws: LLMgineError(.limitExceeded, "")) { try table.reference(eventType: String(repeating: "T", count: 257)) }
        #expect(table.count == 0)
    }
}

@Suite struct `Interned texts` {
    private func texts(_ texts: String...) throws -> InternedTexts {
        var interned = InternedTexts()
        for (index, text) in texts.enumerated() { try interned.define(InternFrame(id: UInt32(index + 1), text: text)) }
        return interned
    }

    @Test func `are found by their numbers`() throws {
        let interned = try texts("orders.eu", "Array<Int>")
        #expect(interned.highest == 2)
        #expect(try interned.topic(1) == "orders.eu")
        #expect(try interned.eventType(2) == "Array<Int>")
        #expect(try interned.eventType(0) == nil)
    }

    @Test(arguments: [0, 3, UInt32.max])
    func `refuse a number that was not announced`(id: UInt32) throws {
        let interned = try texts("a", "b")
        #expect(throws: LLMgineError(.malformedFrame, "")) { try interned.topic(id) }
    }

    @Test func `are topics only if they look like one`() throws {
        let interned = try texts("a..b")
        #expect(throws: LLMgineError(.malformedFrame, "")) { try interned.topic(1) }
        #expect(try interned.eventType(1) == "a..b")
    }

    @Test(arguments: [2, 4, UInt32.max])
    func `come in order`(id: UInt32) throws {
        var interned = try texts("a", "b")
        #expect(throws: LLMgineError(.malformedFrame, "")) { try interned.define(InternFrame(id: id, text: "x")) }
        try interned.define(InternFrame(id: 3, text: "c"))
        #expect(interned.highest == 3)
    }

    @Test func `are forgotten when the sender starts over`() throws {
        var interned = try texts("a", "b")
        try interned.define(InternFrame(id: 1, text: "c"))
        #expect(interned.highest == 1)
        #expect(try interned.topic(1) == "c")
    }
}
