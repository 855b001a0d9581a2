import Foundation
import LLMgineCore
import LLMgineTransport
import Testing

@Suite struct `A node's identity` {
    @Test func `is a cluster and a node in one URI`() throws {
        let identity = try NodeIdentity(uri: "llmgine://demo/node-1.eu")
        #expect(identity.cluster == "demo")
        #expect(identity.node == "node-1.eu")
        #expect(identity.uri == "llmgine://demo/node-1.eu")
    }

    @Test(arguments: [
        "", "llmgine://", "llmgine://demo", "llmgine://demo/", "llmgine:///a", "llmgine://demo/a/", "llmgine://demo/a/b",
        "llmgine://demo/a?x",
        "llmgine://demo:1/a", "LLMGINE://demo/a", "http://demo/a", " llmgine://demo/a", "llmgine://demo/a b", "llmgine://de%6Do/a",
        "llmgine://demo/..",
        "llmgine://demo/a\u{0}", "llmgine://demo/\u{430}",
    ])
    func `is nothing but that`(uri: String) {
        #expect(throws: LLMgineError(.identityRefused, "")) { try NodeIdentity(uri: uri) }
    }
}
