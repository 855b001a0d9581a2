import LLMgineCore
import LLMgineLink
import LLMgineWire

// Frames with messages.
extension SimulatedLink {
    func deliver(_ frame: Frame) throws(LLMgineError) {
        switch frame {
        case .intern(let intern): try texts.define(intern)
        case .data(let data): try deliver(data, isCounted: false)
        case .fragment(let fragment):
            if let head = fragment.head {
                try fragments.check(fragment, head, limits: limits)
                fragments.begin(fragment, head, for: try node.announced(head, over: self))
            } else if let data = try fragments.proceed(fragment) {
                try deliver(data, isCounted: true)
            }
        case .request(let request):
            let index = try request.index(highestIntern: texts.highest, maximumPayload: maximumPayload)
            try node.requestReceived(request, topic: try texts.topic(index.entries[0].topicRef), over: self)
        case .reply(let reply):
            let index = try reply.index(highestIntern: texts.highest, maximumPayload: maximumPayload)
            try node.replyReceived(reply, isEmpty: index.payloadBytes == 0 && index.entries[0].topicRef == 0)
        default: try node.received(frame, over: self)
        }
    }

    private func deliver(_ data: DataFrame, isCounted: Bool) throws(LLMgineError) {
        let index = try data.index(highestIntern: texts.highest, maximumPayload: maximumPayload)
        var topics: [Topic] = []
        for entry in index.entries { topics.append(try texts.topic(entry.topicRef)) }
        let chunk = ReceivedChunk(index: index, topics: topics, priority: data.priority, link: self, isCounted: isCounted)
        try node.received(chunk, for: data.flows)
        if isBroken == .deliversTwice, simulation.chance(10) { try node.received(chunk, for: data.flows) }
    }
}

/// What one DATA frame brought.
final class ReceivedChunk {
    let index: MessageIndex
    /// The topic of each message: a number of the link may mean another one later.
    let topics: [Topic]
    let priority: Priority
    let link: SimulatedLink
    /// Whether its credit was counted when its first part came.
    let isCounted: Bool

    init(index: MessageIndex, topics: [Topic], priority: Priority, link: SimulatedLink, isCounted: Bool) {
        self.isCounted = isCounted
        self.index = index
        self.topics = topics
        self.priority = priority
        self.link = link
    }
}
