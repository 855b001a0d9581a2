public import struct LLMgineCore.LLMgineError

/// What the queue of a subscription does when events come faster than they are handled. The raw values are what configurations say.
public enum BackpressureStrategy: String, Sendable, Hashable, CaseIterable, Codable {
    /// `block`: the publisher waits for room, up to the deadline.
    case block
    /// `drop_oldest`: the oldest waiting event goes.
    case dropOldest = "drop_oldest"
    /// `reject_new`: the new event is refused.
    case rejectNew = "reject_new"
    /// `adaptive_rate_limit`: from the high-water mark down to the low-water mark publishers are slowed, the more the fuller the queue is, so that
    /// they come down to the pace of the handler; a full queue makes them wait as `block` does. Nothing is lost within the deadline.
    case adaptiveRateLimit = "adaptive_rate_limit"
    /// `conflate`: what has been superseded by a newer event of its key goes first, so that the newest of each key is kept.
    case conflate
    /// `spill`: what finds no room waits on the disk.
    case spill

    /// The strategy that a configuration names.
    /// - Throws: `invalidConfiguration`, naming the ones there are.
    public init(named name: String) throws(LLMgineError) {
        guard let strategy = BackpressureStrategy(rawValue: name) else {
            let known = BackpressureStrategy.allCases.map(\.rawValue).joined(separator: ", ")
            throw LLMgineError(.invalidConfiguration, "there is no backpressure strategy of that name; there are \(known)")
        }
        self = strategy
    }
}
