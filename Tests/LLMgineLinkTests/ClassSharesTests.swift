import LLMgineCore
import LLMgineLink
import LLMgineTestKit
import Testing

@Suite struct `Classes that share a link` {
    /// Sends frames of one TLS record for as long as it takes, the classes named always having more. - Returns: bytes by class.
    private func sent(_ classes: Set<Int>, frames: Int, of bytes: Int = 16 << 10) -> [Int] {
        var shares = ClassShares()
        var sent = [0, 0, 0, 0]
        for _ in 0..<frames {
            guard let next = shares.next({ classes.contains($0) }) else { break }
            shares.sent(bytes, of: next)
            sent[next] += bytes
        }
        return sent.map { $0 / bytes }
    }

    @Test func `get 8, 4, 2 and 1 parts of it while all have something`() {
        #expect(sent([0, 1, 2, 3], frames: 150) == [80, 40, 20, 10])
        #expect(sent([0, 3], frames: 90) == [80, 0, 0, 10])
        #expect(sent([2, 3], frames: 90) == [0, 0, 60, 30])
    }

    @Test func `leave all of it to the only one that has something`() {
        for index in 0..<4 { #expect(sent([index], frames: 100)[index] == 100) }
        #expect(sent([], frames: 100) == [0, 0, 0, 0])
    }

    @Test func `pay for a frame that is larger than a share`() {
        #expect(sent([0, 3], frames: 90, of: 1 << 20) == [80, 0, 0, 10])
    }

    @Test func `let a lone urgent message go before all else, at any moment of a full link`() {
        var shares = ClassShares()
        for count in 0..<1000 {
            guard let next = shares.next({ $0 == 3 || $0 == 2 || (count % 10 == 9 && $0 == 0) }) else { break }
            #expect(count % 10 == 9 ? next == 0 : next >= 2)
            shares.sent(next == 0 ? 200 : 16 << 10, of: next)
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `never starve, whatever comes and goes`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var shares = ClassShares()
        var busy = [true, true, true, true]
        var waited = [0, 0, 0, 0]  // bytes of others since the class was last served
        for _ in 0..<5000 {
            for index in 0..<4 where Int.random(in: 0..<20, using: &random) == 0 { busy[index] = Bool.random(using: &random) }
            guard let next = shares.next({ busy[$0] }) else { continue }
            let bytes = Int.random(in: 1...(16 << 10), using: &random)
            shares.sent(bytes, of: next)
            for index in 0..<4 { waited[index] = busy[index] && index != next ? waited[index] + bytes : 0 }
            // One round of the others, begun and overdrawn by a frame each, and one more for those that had something left.
            for index in 0..<4 { #expect(waited[index] <= 2 * (240 << 10) + 4 * (16 << 10), "seed \(seed), class \(index)") }
        }
    }
}
