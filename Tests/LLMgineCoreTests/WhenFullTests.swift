import LLMgineCore
import Testing

@Suite struct `A policy for a full queue` {
    @Test(arguments: [
        ("block:5s", WhenFull.block), ("block:250ms", .block(deadline: .milliseconds(250))), ("drop-oldest", .dropOldest),
        ("reject-new", .rejectNew), ("adaptive-rate-limit:5s", .adaptiveRateLimit), ("conflate:topic", .conflate(by: .topic)),
        ("conflate:header=symbol", .conflate(by: .header("symbol"))), ("spill:64MiB", .spill(maximumBytes: 64 << 20)),
        ("spill:1000", .spill(maximumBytes: 1000)),
    ])
    func `has a text that names it`(text: String, policy: WhenFull) throws {
        #expect(policy.description == text)
        #expect(try WhenFull(named: text) == policy)
    }

    @Test func `may leave out what is usual`() throws {
        #expect(try WhenFull(named: "block") == .block)
        #expect(try WhenFull(named: "adaptive-rate-limit") == .adaptiveRateLimit)
        #expect(try WhenFull(named: "conflate") == .conflate(by: .topic))
        #expect(try WhenFull(named: "spill") == .spill)
        #expect(try WhenFull(named: "spill:2KiB") == .spill(maximumBytes: 2048))
    }

    @Test(arguments: [
        "", "drop", "block:", "block:5", "block:-1s", "block:5m", "drop-oldest:1", "conflate:", "conflate:header=", "adaptive-rate-limit:x",
        "spill:0", "spill:-1", "spill:1TB",
    ])
    func `is not found under another`(text: String) {
        #expect(throws: LLMgineError(.invalidConfiguration, "")) { try WhenFull(named: text) }
    }

    @Test func `has one that older nodes know`() {
        #expect(WhenFull.adaptiveRateLimit(deadline: .seconds(2)).fallback == .block(deadline: .seconds(2)))
        #expect(WhenFull.conflate(by: .topic).fallback == .dropOldest)
        #expect(WhenFull.spill.fallback == .block)
        #expect(WhenFull.rejectNew.fallback == .rejectNew)
    }
}
