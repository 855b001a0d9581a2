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

extension [LLMStreamEvent.Kind] {
    /// The same events in groups whose text has at most so many bytes, long deltas cut between scalars: what one message can carry.
    package func batched(limit: Int) -> [[LLMStreamEvent.Kind]] {
        var batches: [[LLMStreamEvent.Kind]] = []
        var batch: [LLMStreamEvent.Kind] = []
        var bytes = 0
        for kind in flatMap({ $0.cut(limit: limit) }) {
            if bytes + kind.deliveredBytes > limit, !batch.isEmpty {
                batches.append(batch)
                batch = []
                bytes = 0
            }
            batch.append(kind)
            bytes += kind.deliveredBytes
        }
        return batch.isEmpty ? batches : batches + [batch]
    }
}

extension LLMStreamEvent.Kind {
    fileprivate func cut(limit: Int) -> [LLMStreamEvent.Kind] {
        guard deliveredBytes > limit else { return [self] }
        switch self {
        case .textDelta(let text): return text.cut(limit: limit).map { .textDelta($0) }
        case .reasoningDelta(let text): return text.cut(limit: limit).map { .reasoningDelta($0) }
        case .toolCallDelta(let index, let text): return text.cut(limit: limit).map { .toolCallDelta(index: index, arguments: $0) }
        case .start, .usage, .toolCallStart, .toolCallEnd, .opaque, .finish, .error: return [self]
        }
    }
}

extension String {
    /// Pieces of at most so many bytes, cut between scalars; one scalar at least.
    fileprivate func cut(limit: Int) -> [String] {
        var pieces: [String] = []
        var piece = String.UnicodeScalarView()
        var bytes = 0
        for scalar in unicodeScalars {
            let width = UTF8.width(scalar)
            if bytes + width > limit, bytes > 0 {
                pieces.append(String(piece))
                piece = String.UnicodeScalarView()
                bytes = 0
            }
            piece.append(scalar)
            bytes += width
        }
        return pieces + [String(piece)]
    }
}
