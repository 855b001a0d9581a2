package import LLMgineLLM

/// An answer laid out in time: what an embedded model delivers, and what it waits for.
package struct EmbeddedScore: Hashable {
    /// What comes next.
    package enum Bar: Hashable {
        case wait(Duration)
        case deliver([LLMStreamEvent.Kind])
        /// The end of a call that goes wrong.
        case fail(LLMError)
        case truncate
        case hang
    }

    /// The most events that are delivered at once.
    package static let mostAtOnce = 64

    package private(set) var bars: [Bar] = []

    /// Lays out one step of a script.
    /// - Parameters:
    ///   - start: the first event.
    ///   - inputTokens: the size of the question.
    ///   - limit: the most tokens to answer with.
    package init(_ step: EmbeddedScript.Step, start: LLMStart, inputTokens: Int, limit: Int?) {
        var groups = step.contentGroups
        var reason = step.finish ?? (step.toolCalls.isEmpty ? .stop : .toolCalls)
        if let limit, groups.count > limit {
            groups = Array(groups.prefix(max(0, limit)))
            reason = .length
        }
        let interruption = step.interruption.map { (at: max(0, $0.afterTokens), kind: $0.kind) }
        for (index, group) in groups.enumerated() {
            if interruption?.at == index { break }
            wait(index == 0 ? step.firstTokenDelay : step.tokenDelay)
            deliver(index == 0 ? [.start(start)] + group : group)
        }
        if let interruption, interruption.at <= groups.count {
            if groups.isEmpty || interruption.at == 0 { wait(step.firstTokenDelay) }
            end(interruption.kind)
            return
        }
        if groups.isEmpty {
            wait(step.firstTokenDelay)
            deliver([.start(start)])
        }
        let usage = step.usage ?? LLMUsage(input: .init(total: inputTokens), output: .init(total: groups.count))
        deliver([.finish(LLMFinishReason(reason), usage)])
    }

    private mutating func wait(_ duration: Duration) {
        if duration > .zero { bars.append(.wait(duration)) }
    }

    /// Without a wait in between, what follows is ready at the same time.
    private mutating func deliver(_ kinds: [LLMStreamEvent.Kind]) {
        if case .deliver(let earlier)? = bars.last, earlier.count < Self.mostAtOnce {
            bars[bars.count - 1] = .deliver(earlier + kinds)
        } else {
            bars.append(.deliver(kinds))
        }
    }

    private mutating func end(_ kind: EmbeddedScript.Step.Interruption.Kind) {
        switch kind {
        case .error(let error): bars.append(.fail(error))
        case .truncation: bars.append(.truncate)
        case .hang: bars.append(.hang)
        }
    }
}

extension EmbeddedScript.Step {
    /// The events of each token, and of each tool call.
    fileprivate var contentGroups: [[LLMStreamEvent.Kind]] {
        EmbeddedTokens.split(reasoning).map { [.reasoningDelta($0)] } + EmbeddedTokens.split(text).map { [.textDelta($0)] }
            + tokens.map { [.textDelta($0)] }
            + toolCalls.enumerated().map { index, call in
                [
                    .toolCallStart(index: index, id: call.id, name: call.name),
                    .toolCallDelta(index: index, arguments: call.arguments.isEmpty ? "{}" : call.arguments), .toolCallEnd(index: index),
                ]
            }
    }
}
