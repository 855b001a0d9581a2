import LLMgineBus
import LLMgineCore
import LLMgineLink
import LLMgineNode
import LLMgineTestKit
import LLMgineTransport
import LLMgineWire
import NIOCore
import NIOPosix

/// A peer without a node behind its link: it asks what a test has it ask, whatever it was told, and keeps how that ends.
final class RawPeer: LinkDelegate {
    private let links = Inbox<LinkConnection>()
    private let endings = Inbox<String>()

    /// Dials the node.
    init(_ name: NodeID, kind: HelloFrame.Kind = .core, of cluster: TestCluster, at node: Node) async throws {
        let hello = HelloFrame(cluster: cluster.name, node: name, incarnation: Incarnation(1), kind: kind)
        let endpoint = LinkEndpoint(
            material: try TLSMaterial(loading: try cluster.certificates(for: name)), limits: WireLimits(), group: .singleton,
            hello: { hello })
        try await endpoint.dial(HostPort(node.listeningAddress ?? ""), delegate: self).get()
    }

    /// Sends a request to the responder, on any topic, and waits for its end. One at a time.
    /// - Returns: the code of the error, or `answered`.
    func ask(_ responder: Responder, on topic: Topic) async throws -> String {
        let link = await links.wait(for: 1)[0]
        let count = endings.items.count + 1
        try link.send(encoding: Message(topic: topic, payload: ByteBuffer())) { run in
            .request(
                RequestFrame(
                    request: UInt64(count), flow: responder.id, deadline: .seconds(30), replyMessages: 1, replyBytes: .max, message: run))
        }
        return await endings.wait(for: count)[count - 1]
    }

    func linkEstablished(_ link: LinkConnection, session: LinkSession) { links.add(link) }
    func linkReceived(_ link: LinkConnection, _ data: ReceivedData) throws(LLMgineError) {}
    func linkAnnounced(_ link: LinkConnection, _ head: FragmentFrame.Head) throws(LLMgineError) -> [UInt32] { [] }
    func linkReceived(_ link: LinkConnection, _ frame: Frame, message: Message) throws(LLMgineError) {
        if case .reply = frame { endings.add("answered") }
    }
    func linkReceived(_ link: LinkConnection, _ frame: Frame) throws(LLMgineError) {
        if case .replyError(let failure) = frame { endings.add(failure.code) }
    }
    func linkPeerInterest(_ link: LinkConnection, version: UInt64, hash: UInt64) {}
    func linkPeerLeaving(_ link: LinkConnection, deadline: Duration) {}
    func linkInterest(_ link: LinkConnection) -> (version: UInt64, hash: UInt64) { (0, 0) }
    func linkClosed(_ link: LinkConnection, _ closure: LinkClosure, wasEstablished: Bool) { endings.add("closed: \(closure.reason)") }
}
