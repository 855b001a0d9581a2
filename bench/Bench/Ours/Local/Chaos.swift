import LLMgineBus
import LLMgineCore
import LLMgineTestKit
import Synchronization

/// Trouble from a seed: what happens to the n-th event of a handler at its m-th attempt does not depend on what else happens when.
struct Chaos: Sendable {
    let seed: UInt64
    let failureRate: Double
    /// Milliseconds.
    let latency: ClosedRange<Double>

    struct Failure: Error {}

    /// Lets one call of a handler dawdle, fail, or both.
    func disturb(handler: Int, event: UInt64, attempt: Int) async throws {
        var random = SeededGenerator(seed: seed ^ (UInt64(handler) << 56) ^ (UInt64(attempt) << 48) ^ event)
        if Int.random(in: 0..<10, using: &random) == 0 {
            try await Task.sleep(for: .microseconds(Int(Double.random(in: latency, using: &random) * 1000)), tolerance: .zero)
        }
        if Double.random(in: 0..<1, using: &random) < failureRate { throw Failure() }
    }

    /// The numbers that one publisher draws.
    func publisher(_ index: Int) -> SeededGenerator { SeededGenerator(seed: seed &+ UInt64(index) + 1) }

    /// Takes so much memory in pieces, touches it, gives it back, and begins again, until the task is cancelled.
    @concurrent func pressOnMemory(megabytes: Int) async {
        while !Task.isCancelled {
            var pieces: [[UInt8]] = []
            for _ in 0..<max(1, megabytes / 16) where !Task.isCancelled {
                pieces.append([UInt8](repeating: 0xA5, count: 16 << 20))
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }
}

/// Guarantee G3 of one subscription: matched = delivered + evicted + expired + rejected + dead-lettered + in flight.
struct LossAccount: Sendable, CustomStringConvertible {
    let name: String
    private let subscriptions: [Subscription]
    private(set) var matched = 0
    private(set) var delivered = 0
    private(set) var evicted = 0
    private(set) var expired = 0
    private(set) var rejected = 0
    private(set) var deadLettered = 0
    private(set) var inFlight = 0
    /// What the publisher was told, which must agree with what the subscription counted.
    private var told = (evicted: 0, rejected: 0)

    init(of subscription: Subscription) {
        name = subscription.name
        subscriptions = [subscription]
    }

    /// Takes in what the publisher was told of one event.
    mutating func add(_ receipt: PublishReceipt) {
        matched += receipt.matched
        told.evicted += receipt.evicted
        told.rejected += receipt.rejected
    }

    /// The account with the subscription's side, once the bus has stopped.
    func closed() -> LossAccount {
        var account = self
        for statistics in subscriptions.map(\.statistics) {
            account.delivered += Int(statistics.processed)
            account.evicted += Int(statistics.evicted)
            account.expired += Int(statistics.expired)
            account.rejected += Int(statistics.rejected)
            account.deadLettered += Int(statistics.deadLettered)
            account.inFlight += Int(statistics.queued)
        }
        return account
    }

    /// Events that nobody can account for; negative: accounted for twice.
    var imbalance: Int { matched - delivered - evicted - expired - rejected - deadLettered - inFlight }

    var isBalanced: Bool { imbalance == 0 && told == (evicted, rejected) }

    static func + (one: LossAccount, other: LossAccount) -> LossAccount {
        var sum = LossAccount(name: "all", subscriptions: one.subscriptions + other.subscriptions)
        sum.matched = one.matched + other.matched
        sum.delivered = one.delivered + other.delivered
        sum.evicted = one.evicted + other.evicted
        sum.expired = one.expired + other.expired
        sum.rejected = one.rejected + other.rejected
        sum.deadLettered = one.deadLettered + other.deadLettered
        sum.inFlight = one.inFlight + other.inFlight
        sum.told = (one.told.evicted + other.told.evicted, one.told.rejected + other.told.rejected)
        return sum
    }

    private init(name: String, subscriptions: [Subscription]) {
        self.name = name
        self.subscriptions = subscriptions
    }

    var fields: [String: String] {
        [
            "matched": "\(matched)", "delivered": "\(delivered)", "evicted": "\(evicted)", "expired": "\(expired)",
            "rejected": "\(rejected)", "dead_lettered": "\(deadLettered)", "in_flight": "\(inFlight)",
        ]
    }

    var description: String {
        let verdict = isBalanced ? "balanced" : "NOT BALANCED by \(imbalance), publishers were told of \(told)"
        return
            "\(name.padded(9)) matched \(matched) = delivered \(delivered) + evicted \(evicted) + expired \(expired) + rejected \(rejected)"
            + " + dead-lettered \(deadLettered) + in flight \(inFlight): \(verdict)"
    }
}

/// Guarantee G12: how soon a handler that works again is called again, with the default retries and breaker.
struct RecoveryTrial: Sendable {
    let seed: UInt64

    /// A handler that can be broken and says when it first worked again.
    private final class Patient: Sendable {
        private let isBroken = Atomic(false)
        private let healed = Atomic<UInt64>(0)
        private let worked = Atomic<UInt64>(0)

        func call() throws {
            if isBroken.load(ordering: .acquiring) { throw Chaos.Failure() }
            _ = worked.compareExchange(expected: 0, desired: monotonic(), ordering: .acquiringAndReleasing)
        }

        func breakDown() { isBroken.store(true, ordering: .releasing) }

        func heal() {
            worked.store(0, ordering: .releasing)
            healed.store(monotonic(), ordering: .releasing)
            isBroken.store(false, ordering: .releasing)
        }

        /// Milliseconds from the healing to the first call that went well; nil if there was none yet.
        var recovery: Double? {
            let at = worked.load(ordering: .acquiring)
            return at == 0 ? nil : Double(at - healed.load(ordering: .acquiring)) / 1e6
        }
    }

    /// The longest recovery, in milliseconds.
    @concurrent func run(outages: Int) async throws -> Double {
        let bus = MessageBus(configuration: .init(name: "recovery"))
        let patient = Patient()
        try await bus.subscribe("chaos.recovery", options: .init(whenFull: .dropOldest)) { (_: Tick, _) in try patient.call() }
        let publisher = Task {
            _ = try await PacedLoad(rate: 1000, seconds: 600).run { sequence, due in
                try Task.checkCancellation()
                try await bus.publish(Tick(sequence: sequence, due: due), to: "chaos.recovery")
            }
        }
        var random = SeededGenerator(seed: seed)
        var longest = 0.0
        for _ in 0..<outages {
            patient.breakDown()
            try await Task.sleep(for: .milliseconds(Int.random(in: 800...2400, using: &random)))
            patient.heal()
            var waited = 0
            while patient.recovery == nil, waited < 5000 {
                try await Task.sleep(for: .milliseconds(1))
                waited += 1
            }
            longest = max(longest, patient.recovery ?? 5000)
        }
        publisher.cancel()
        _ = await publisher.result
        await bus.stop(deadline: .milliseconds(100))
        return longest
    }
}
