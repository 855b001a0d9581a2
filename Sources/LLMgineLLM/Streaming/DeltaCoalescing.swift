extension [LLMStreamEvent.Kind] {
    /// Joins neighbouring deltas of one kind. Text concatenates without loss, so this costs granularity and nothing else.
    package func coalesced() -> [LLMStreamEvent.Kind] {
        var result: [LLMStreamEvent.Kind] = []
        result.reserveCapacity(count)
        for kind in self {
            if let last = result.last, let joined = last.joined(with: kind) {
                result[result.count - 1] = joined
            } else {
                result.append(kind)
            }
        }
        return result
    }
}

extension LLMStreamEvent.Kind {
    fileprivate func joined(with next: LLMStreamEvent.Kind) -> LLMStreamEvent.Kind? {
        switch (self, next) {
        case (.textDelta(let text), .textDelta(let more)): .textDelta(text + more)
        case (.reasoningDelta(let text), .reasoningDelta(let more)): .reasoningDelta(text + more)
        case (.toolCallDelta(let index, let text), .toolCallDelta(let other, let more)) where index == other:
            .toolCallDelta(index: index, arguments: text + more)
        case (_, _): nil
        }
    }
}
