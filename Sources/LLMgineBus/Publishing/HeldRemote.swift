import LLMgineCore
import LLMgineFlow

/// A link that did not take an event at once.
///
/// All that hold one event back are noted when it is first offered to them, and waited for one after the other: so their deadlines run at the same time, and
/// the publisher waits no longer than for the longest of them.
struct HeldRemote {
    let remote: any RemoteRoute
    /// The epoch of the hold's times.
    let since: ContinuousClock.Instant
    /// The subscriptions for whose room the publisher waits.
    var hold = PublisherHold()

    init(_ remote: any RemoteRoute) {
        self.remote = remote
        since = .now
        _ = hold.end(of: remote.holders, at: .zero)
    }
}

extension MessageBus {
    func send(_ message: Message, number: UInt64, to remotes: [any RemoteRoute], receipt: inout PublishReceipt) async throws(LLMgineError) {
        let held = try offer(message, number: number, to: remotes, receipt: &receipt)
        for remote in held { try await insist(on: remote, message, number, &receipt) }
    }

    /// Offers an event to all of the links, without waiting.
    ///
    /// One that may not carry it, because its peer takes less than others, has refused it like a subscription that does: the others get it.
    /// - Parameter goesElsewhere: whether somebody else is still to be offered it, whom the receipt does not count.
    /// - Returns: those that did not take it; the receipt counts them as matches.
    /// - Throws: why no link may carry it, if nobody else matches.
    func offer(
        _ message: Message, number: UInt64, to remotes: [any RemoteRoute], goesElsewhere: Bool = false, receipt: inout PublishReceipt
    ) throws(LLMgineError) -> [HeldRemote] {
        var held: [HeldRemote] = []
        var failures: (count: Int, last: LLMgineError?) = (0, nil)
        for remote in remotes {
            receipt.matched += 1
            let offer = remote.offer(message, sequence: number)
            if case .failed(let error) = offer { failures = (failures.count + 1, error) }
            if offer.isHeld { held.append(HeldRemote(remote)) } else { receipt.count(offer) }
        }
        if let failure = failures.last, failures.count == receipt.matched, !goesElsewhere { throw failure }
        return held
    }
}
