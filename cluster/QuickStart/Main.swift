import Foundation
import LLMgine

struct OrderPlaced: Event { var id: Int }

/// The code of the README, on two nodes of one process: what is published on `a` is seen on `b`, and `b` runs the LLM call of `a`.
@main
enum QuickStart {
    static func main() async throws {
        let certificates = FileManager.default.temporaryDirectory.appending(path: "llmgine-\(ProcessInfo.processInfo.processIdentifier)")
            .path
        defer { try? FileManager.default.removeItem(atPath: certificates) }
        let authority = try CertificateAuthority(cluster: "llmgine")
        for name in ["a", "b"] as [NodeID] { try authority.issue(name).save(to: "\(certificates)/\(name)") }

        let b = try await Node(configuration: .init(name: "b", listen: "127.0.0.1:0", certificates: .directory("\(certificates)/b")))
        try await b.offer([EmbeddedProvider()])
        let (handled, done) = AsyncStream.makeStream(of: Void.self)
        try await b.bus.subscribe("orders.>") { (order: OrderPlaced, context) in
            print("order \(order.id) on \(context.topic) from \(context.publisher)")
            done.finish()
        }

        let seed = b.listeningAddress ?? ""
        let node = try await Node(
            configuration: .init(name: "a", listen: "127.0.0.1:0", seeds: [seed], certificates: .directory("\(certificates)/a")))
        let receipt = try await node.bus.publish(OrderPlaced(id: 7), to: "orders.eu.placed")
        let answer = try await node.llm.generate(LLMRequest(model: "embedded/pirate", messages: [.user("hello")]))
        for await _ in handled {}
        print("\(receipt.accepted) subscriber; the pirate says: \(answer.text)")

        await node.stop()
        await b.stop()
    }
}
