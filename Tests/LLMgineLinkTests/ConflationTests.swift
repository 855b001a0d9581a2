import LLMgineLink
import LLMgineTestKit
import Testing

@Suite struct `Events that supersede each other` {
    @Test func `leave the newest of each key, in the order of their coming`() {
        var line = Conflation<Int>()
        #expect(line.append(1, key: "a") == nil)
        #expect(line.append(2, key: "b") == nil)
        #expect(line.append(3, key: "a") == 1)
        #expect(line.elements == [2, 3])
        #expect((line.popFirst(), line.popFirst(), line.popFirst()) == (2, 3, nil))
        #expect(line.append(4, key: "a") == nil)
    }

    @Test func `leave those alone that have no key`() {
        var line = Conflation<Int>()
        for number in 1...3 { #expect(line.append(number, key: nil) == nil) }
        #expect(line.elements == [1, 2, 3])
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `are those that a list would leave`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var line = Conflation<Int>()
        var list: [(key: String?, number: Int)] = []
        for number in 0..<2000 {
            if Int.random(in: 0..<4, using: &random) == 0 {
                #expect(line.popFirst() == (list.isEmpty ? nil : list.removeFirst().number), "seed \(seed)")
            } else {
                let key = Int.random(in: 0..<20, using: &random) == 0 ? nil : "k\(Int.random(in: 0..<9, using: &random))"
                let older = key == nil ? nil : list.firstIndex { $0.key == key }
                #expect(line.append(number, key: key) == older.map { list.remove(at: $0).number }, "seed \(seed)")
                list.append((key, number))
            }
            #expect(line.count == list.count && line.first == list.first?.number, "seed \(seed)")
        }
        #expect(line.elements == list.map(\.number), "seed \(seed)")
    }
}
