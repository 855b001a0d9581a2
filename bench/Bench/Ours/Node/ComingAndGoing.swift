import LLMgineBus
import LLMgineCore

/// What some subscribers get while one more stands still, and while it is not there, in turns over one and the same link: what differs between two
/// processes or two minutes, a tenth on a busy machine, is the same for both.
struct ComingAndGoing {
    /// A pair of windows, one without the frozen subscriber and one with it.
    static let window = 1.5
    /// From the subscription to the window: more than the second for which `.block` holds the publisher.
    static let settling = 2.0
    /// From its end to the window.
    static let recovering = 0.5

    /// How long so many pairs take, in seconds: every pair is in the reverse order of the one before, so one change is enough for each.
    static func seconds(pairs: Int) -> Double { Double(pairs) * (2 * window + settling) + recovering }

    let bus: MessageBus
    let tallies: [HandlerTally]
    let options: SubscriptionOptions

    /// Messages a second of all tallies together.
    struct Pair {
        var free = 0.0
        var frozen = 0.0
        /// In per cent.
        var loss: Double { (1 - frozen / free) * 100 }
    }

    /// Measures so many pairs, from when the messages come that are counted.
    func measure(pairs: Int) async throws -> [Pair] {
        while received == 0 { try await Task.sleep(for: .milliseconds(20)) }
        try await Task.sleep(for: .seconds(ComingAndGoing.recovering))
        var measured: [Pair] = []
        var frozen: Subscription?
        for number in 0..<pairs {
            var pair = Pair()
            for isFrozen in number.isMultiple(of: 2) ? [false, true] : [true, false] {
                if isFrozen, frozen == nil {
                    frozen = try await bus.subscribeFrozen(options)
                    try await Task.sleep(for: .seconds(ComingAndGoing.settling))
                } else if !isFrozen, let gone = frozen {
                    await gone.cancel()
                    frozen = nil
                    try await Task.sleep(for: .seconds(ComingAndGoing.recovering))
                }
                let rate = try await rate()
                if isFrozen { pair.frozen = rate } else { pair.free = rate }
            }
            measured.append(pair)
        }
        return measured
    }

    private var received: Int { tallies.reduce(0) { $0 + $1.received } }

    private func rate() async throws -> Double {
        let (before, start) = (received, monotonic())
        try await Task.sleep(for: .seconds(ComingAndGoing.window))
        let (after, end) = (received, monotonic())
        return Double(after - before) / (Double(end - start) / 1e9)
    }
}

extension MessageBus {
    /// A subscriber to the benchmark's messages who takes none.
    func subscribeFrozen(_ options: SubscriptionOptions) async throws -> Subscription {
        try await subscribe(TopicFilter(Parcel.topic), options: options) { (_: Message, _) in try await Task.sleep(for: .seconds(3600)) }
    }
}

extension [ComingAndGoing.Pair] {
    /// The fields of a sink's line: both rates, and the median of what each pair lost.
    var fields: [String: String] {
        let losses = map(\.loss).sorted()
        guard !losses.isEmpty else { return [:] }
        let middle = losses.count / 2
        let loss = losses.count.isMultiple(of: 2) ? (losses[middle - 1] + losses[middle]) / 2 : losses[middle]
        let (free, frozen) = (map(\.free).reduce(0, +), map(\.frozen).reduce(0, +))
        return ["free": "\(free / Double(count))", "frozen": "\(frozen / Double(count))", "loss": "\(loss)"]
    }
}
