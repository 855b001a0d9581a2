package import LLMgineCore
import LLMgineLink
package import LLMgineWire
import NIOCore

// Frames with messages: verified, their numbers looked up, and held to the rules.
extension LinkHandler {
    func deliver(_ frame: Frame) throws(LLMgineError) {
        switch frame {
        case .intern(let intern):
            try texts.define(intern)
            if intern.id == 1 { verdicts?.forget() }
        case .data(let data): try deliver(data)
        case .fragment(let fragment): try deliver(fragment)
        case .request(let request):
            let index = try request.index(highestIntern: texts.highest, maximumPayload: maximumPayload)
            try delegate.linkReceived(connection, frame, message: try message(of: index, needsTopic: true))
        case .reply(let reply):
            try calls.permits(replyTo: reply.request)
            let index = try reply.index(highestIntern: texts.highest, maximumPayload: maximumPayload)
            try delegate.linkReceived(connection, frame, message: try message(of: index, needsTopic: false))
        case .replyError(let failure):
            try calls.permits(replyTo: failure.request)
            try delegate.linkReceived(connection, frame)
        case .callPart(let part): try deliver(part)
        default: try delegate.linkReceived(connection, frame)
        }
    }

    /// - Parameter announced: the payload bytes whose credit was counted when the first part of the message came.
    private func deliver(_ data: DataFrame, announced: UInt64? = nil) throws(LLMgineError) {
        let index = try data.index(highestIntern: texts.highest, maximumPayload: maximumPayload)
        if let announced, announced != UInt64(index.payloadBytes) {
            throw LLMgineError(.malformedFrame, "FRAGMENT: a payload of \(index.payloadBytes) bytes, announced were \(announced)")
        }
        guard verdicts == nil else { return try deliver(data, judging: index, isCounted: announced != nil) }
        try delegate.linkReceived(
            connection,
            ReceivedData(
                priority: data.priority, flows: data.flows, index: index, names: try names(of: index), isCounted: announced != nil))
    }

    private func deliver(_ fragment: FragmentFrame) throws(LLMgineError) {
        if let head = fragment.head {
            try fragments.check(fragment, head, limits: limits)
            fragments.begin(fragment, head, for: try delegate.linkAnnounced(connection, head))
        } else {
            let announced = fragments.head(fragment.number)?.payloadBytes
            if let data = try fragments.proceed(fragment) { try deliver(data, announced: announced) }
        }
    }

    private func deliver(_ part: CallPartFrame) throws(LLMgineError) {
        if case .first(let head) = part.part {
            try calls.check(part, head, limits: limits)
            return calls.begin(part, head, isKept: try delegate.linkAnnounced(connection, head.frame), at: LinkHandler.now)
        }
        switch try calls.proceed(part, at: LinkHandler.now) {
        case .open: break
        case .complete(.request(let request)): try deliver(.request(request))
        case .complete(.reply(let reply)): try deliver(.reply(reply))
        case .givenUp(let head): delegate.linkGaveUp(connection, head.frame, isExpired: false)
        case .expired(let head): delegate.linkGaveUp(connection, head.frame, isExpired: true)
        }
    }

    /// Delivers those of the messages that the peer may publish, by the literal topic of each.
    private func deliver(_ data: DataFrame, judging index: MessageIndex, isCounted: Bool) throws(LLMgineError) {
        var refused: Set<UInt32> = []
        for entry in index.entries {
            let isAdmitted = try verdicts?.admits(entry.topicRef, try texts.topic(entry.topicRef)) ?? true
            if !isAdmitted { refused.insert(entry.topicRef) }
        }
        // All have a topic, which `index` and `names` make sure of, so what is refused is refused as a whole and nothing more can be wrong.
        let names = try names(of: index)
        guard !refused.isEmpty else {
            return try delegate.linkReceived(
                connection, ReceivedData(priority: data.priority, flows: data.flows, index: index, names: names, isCounted: isCounted))
        }
        let kept = index.filtered { !refused.contains($0.topicRef) }
        let positions = index.entries.indices.filter { refused.contains(index.entries[$0].topicRef) }
        try delegate.linkReceived(
            connection,
            ReceivedData(
                priority: data.priority, flows: data.flows, index: kept, names: kept.count == 0 ? names : try self.names(of: kept),
                isCounted: isCounted, refused: (positions.count, index.payloadBytes - kept.payloadBytes, Set(positions))))
    }

    private func names(of index: MessageIndex) throws(LLMgineError) -> ReceivedData.Names {
        guard let first = index.entries.first else { throw LLMgineError(.malformedFrame, "DATA without a message") }
        let topic = try texts.topic(first.topicRef)
        let type = try texts.eventType(first.typeRef)
        if index.entries.allSatisfy({ $0.topicRef == first.topicRef && $0.typeRef == first.typeRef }) {
            return .same(topic, eventType: type)
        }
        var names: [(topic: Topic, eventType: String?)] = []
        names.reserveCapacity(index.count)
        for entry in index.entries { names.append((try texts.topic(entry.topicRef), try texts.eventType(entry.typeRef))) }
        return .each(names)
    }

    private func message(of index: MessageIndex, needsTopic: Bool) throws(LLMgineError) -> Message {
        guard let entry = index.entries.first else { throw LLMgineError(.malformedFrame, "a request or reply without its message") }
        let topic = needsTopic || entry.topicRef != 0 ? try texts.topic(entry.topicRef) : LinkConnection.replyTopic
        return Message(index[0], topic: topic, eventType: try texts.eventType(entry.typeRef), priority: .normal)
    }
}

extension Message {
    /// A message of a link, with its numbers looked up.
    package init(_ wire: WireMessage, topic: Topic, eventType: String?, priority: Priority) {
        self.init(
            topic: topic, payload: wire.payload, eventType: eventType, priority: priority, session: wire.session, headers: wire.headers,
            trace: wire.trace, timeToLive: wire.timeToLive)
    }
}
