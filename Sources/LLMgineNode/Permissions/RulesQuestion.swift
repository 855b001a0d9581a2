import LLMgineBus
package import LLMgineCore
import NIOCore

/// What a leaf asks its hub: whether the rules about it allow what it is about to do.
struct RulesQuestion: Sendable, Hashable {
    private static let maximumTexts = 16

    let action: TopicPermission.Action
    /// The topics of what it would publish, or the filters that it would subscribe to.
    let texts: [String]

    init(_ action: TopicPermission.Action, _ texts: [String]) {
        self.action = action
        self.texts = texts
    }

    /// Reads what ``text`` writes. Nil if it is something else.
    init?(_ text: String) {
        let lines = text.split(separator: "\n").map(String.init)
        guard let action = lines.first.flatMap(TopicPermission.Action.init), (1...RulesQuestion.maximumTexts).contains(lines.count - 1)
        else { return nil }
        self.init(action, Array(lines.dropFirst()))
    }

    /// One line for the action, and one for each topic or filter, neither of which has a line break in it.
    var text: String { ([action.rawValue] + texts).joined(separator: "\n") }

    /// Why the rules do not allow it; nil if they do, or if one of the filters could get something.
    /// - Parameter grant: what the node is allowed; nil for everything.
    /// - Throws: `invalidArgument` for what is no topic or no filter.
    func refusal(of node: NodeID, by grant: TopicGrant?) throws(LLMgineError) -> String? {
        switch action {
        case .publish:
            for text in texts {
                let topic = try Topic(text)
                if let reason = grant?.publish.refusal(of: topic) { return "node \(node) may not publish on \(topic): \(reason)" }
            }
            return nil
        case .subscribe:
            var filters: [TopicFilter] = []
            for text in texts { filters.append(try TopicFilter(text)) }
            guard let grant, !filters.contains(where: grant.subscribe.permits(someOf:)) else { return nil }
            return "node \(node) may not subscribe to \(texts.joined(separator: ", ")): \(grant.explanation[1])"
        }
    }
}

// A leaf does not know the rules that its hub holds it to, so what they deny it looks as if nobody were there. Its hub says so when it is asked.
extension Node {
    /// Where a hub answers its leaves. Each of them may ask, whatever the rules say, and of itself only.
    static let rulesTopic: Topic = "llmgine.rules"
    private static let denied = "denied\n"

    /// Asks the hub of this leaf whether it may publish on the topic. Of a member of the mesh the bus itself knows.
    /// - Throws: `permissionDenied`, saying why, if it may not; `deadlineExceeded` after 5 s without an answer, and what else requests throw.
    package func checkPublishing(on topic: Topic) async throws(LLMgineError) { try await ask(RulesQuestion(.publish, [topic.text])) }

    /// The same for a subscription: it is denied if none of its filters could get anything.
    package func checkSubscribing(to filters: [TopicFilter]) async throws(LLMgineError) {
        try await ask(RulesQuestion(.subscribe, filters.map(\.text)))
    }

    private func ask(_ question: RulesQuestion) async throws(LLMgineError) {
        guard configuration.kind == .leaf else { return }
        let message = Message(topic: Node.rulesTopic, payload: ByteBuffer(string: question.text))
        let answer: String
        do throws(LLMgineError) {
            answer = String(buffer: try await bus.request(message, options: RequestOptions(deadline: .seconds(5))).first().payload)
        } catch {
            // A hub of an earlier version does not know the question, or holds the leaf to its rules with that too.
            guard error.code == .noResponders || error.code == .permissionDenied else { throw error }
            return
        }
        guard answer.hasPrefix(Node.denied) else { return }
        throw LLMgineError(.permissionDenied, String(answer.dropFirst(Node.denied.count)))
    }

    /// What a hub answers the leaf at the other end of a link.
    static func answer(_ question: Message, over link: PeerLink) throws(LLMgineError) -> ByteBuffer {
        guard let question = RulesQuestion(String(buffer: question.payload)) else {
            throw LLMgineError(.badPayload, "this is no question about rules")
        }
        return ByteBuffer(string: try question.refusal(of: link.peer, by: link.grant).map { denied + $0 } ?? "allowed")
    }
}
