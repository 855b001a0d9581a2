import LLMgineCore

/// Whether a peer may say something on a topic here, by the topic's number in its intern table: a message costs one look into an array, and
/// nothing where no rule is about the peer.
struct TopicVerdicts {
    private enum Verdict: UInt8 {
        case unknown, admitted, refused
    }

    private let admits: @Sendable (Topic) -> Bool
    private var verdicts: [Verdict] = []

    init(_ admits: @escaping @Sendable (Topic) -> Bool) { self.admits = admits }

    /// The peer's table starts over.
    mutating func forget() { verdicts.removeAll(keepingCapacity: true) }

    /// - Parameter number: of the topic, at most 65,536.
    mutating func admits(_ number: UInt32, _ topic: @autoclosure () throws(LLMgineError) -> Topic) throws(LLMgineError) -> Bool {
        let index = Int(number)
        if index < verdicts.count, verdicts[index] != .unknown { return verdicts[index] == .admitted }
        let isAdmitted = admits(try topic())
        while verdicts.count <= index { verdicts.append(.unknown) }
        verdicts[index] = isAdmitted ? .admitted : .refused
        return isAdmitted
    }
}
