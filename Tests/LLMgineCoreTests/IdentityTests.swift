import LLMgineCore
import Testing

@Suite struct `A node's name` {
    @Test(arguments: ["..", "../a", "/a", "a/b", ".a", "", "a b", "a\0", "-a", "a\\b", "~", String(repeating: "a", count: 64), "ä"])
    func `never names a path`(name: String) {
        #expect(throws: LLMgineError(.invalidArgument, "")) { try NodeID(name) }
    }
}
