import LLMgine
import NIOCore

import struct FoundationEssentials.Data
import class FoundationEssentials.JSONDecoder

// What nodes say of themselves.
extension Client {
    /// Asks a node for its status, as it puts it. - Throws: what requests throw.
    func statusText(of node: NodeID, within deadline: Duration = .seconds(5)) async throws -> String {
        let question = Message(topic: try Node.statusTopic(node), payload: ByteBuffer())
        let reply = try await self.node.bus.request(question, options: RequestOptions(deadline: deadline)).first()
        return String(decoding: reply.payload.readableBytesView, as: UTF8.self)
    }

    /// Asks a node for its status. - Throws: what requests throw; `badPayload` if the node is of a version that puts it otherwise.
    func status(of node: NodeID, within deadline: Duration = .seconds(5)) async throws -> NodeStatus {
        let text = try await statusText(of: node, within: deadline)
        do {
            return try JSONDecoder().decode(NodeStatus.self, from: Data(text.utf8))
        } catch {
            throw LLMgineError(.badPayload, "the status of \(node) is of another version", cause: error)
        }
    }
}
