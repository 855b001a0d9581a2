import ArgumentParser
import LLMgineBus
import LLMgineCore
import LLMgineResilience
import LLMgineTestKit

/// `Bench local chaos`: one subscription for each way a queue may overflow, handlers that fail and dawdle at random, memory that others take, and
/// at the end the account of every event.
struct LocalChaosCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "chaos")
    @Option var seed: UInt64
    @Option var seconds: Double
    /// Events a second for each subscription.
    @Option var rate: Double = 2000
    @Option var failureRate: Double = 0.2
    /// In milliseconds, for one event in ten.
    @Option var minLatency: Double = 0.1
    @Option var maxLatency: Double = 5
    /// Megabytes that are taken and given back all the time.
    @Option var memoryPressure = 256

    func run() async throws {
        Output.tell("chaos-local: seed \(seed)")
        let chaos = Chaos(seed: seed, failureRate: failureRate, latency: minLatency...max(minLatency, maxLatency))
        let accounts = try await disturbed(chaos)
        for account in accounts { Output.tell("  \(account)") }
        let recovery = try await RecoveryTrial(seed: seed).run(outages: seconds < 15 ? 2 : 5)
        let total = accounts.dropFirst().reduce(accounts[0]) { $0 + $1 }
        var fields = total.fields
        fields["seed"] = "\(seed)"
        fields["unbalanced"] = "\(accounts.count { !$0.isBalanced })"
        fields["lost"] = "\(accounts.reduce(0) { $0 + $1.imbalance.magnitude })"
        fields["recovery_ms"] = "\(recovery)"
        fields["rss"] = "\(Double(try Resources.residentBytes()) / 1e6)"
        Output.say(Line("result", fields))
    }

    /// Runs the load, ends the bus while it is still busy, and draws up the accounts.
    @concurrent private func disturbed(_ chaos: Chaos) async throws -> [LossAccount] {
        let bus = MessageBus(
            configuration: .init(
                name: "chaos",
                resilience: BusResilience(
                    retry: RetryPolicy(maximumRetries: 2, initialDelay: .milliseconds(1), maximumDelay: .milliseconds(20)),
                    circuitBreaker: BreakerPolicy(failureThreshold: 50, window: .seconds(1), recovery: .milliseconds(200)))))
        let pressure = Task { await chaos.pressOnMemory(megabytes: memoryPressure) }
        let load = PacedLoad(rate: rate, seconds: seconds)
        let accounts = try await withThrowingTaskGroup(of: LossAccount.self) { group in
            for (index, subject) in ChaosSubject.all.enumerated() {
                let topic = try Topic("chaos.\(subject.name)")
                let subscription = try await bus.subscribe(TopicFilter(topic), options: subject.options) { (tick: Tick, context) in
                    if subject.isFrozen { try await Task.sleep(for: .seconds(3600)) }
                    try await chaos.disturb(handler: index, event: tick.sequence, attempt: context.attempt)
                }
                group.addTask { try await publish(load, to: topic, of: subscription, on: bus, chaos.publisher(index)) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        await bus.stop(deadline: .milliseconds(500))
        pressure.cancel()
        return accounts.map { $0.closed() }.sorted { $0.name < $1.name }
    }

    @concurrent private func publish(
        _ load: PacedLoad, to topic: Topic, of subscription: Subscription, on bus: MessageBus, _ random: SeededGenerator
    ) async throws -> LossAccount {
        var random = random
        var account = LossAccount(of: subscription)
        // A publisher that is held back falls behind its load and does not catch up: what is left at the end is not published.
        let end = ContinuousClock.now + .seconds(load.seconds)
        _ = try await load.run { sequence, due in
            guard ContinuousClock.now < end else { return }
            let options = PublishOptions(
                priority: Priority.allCases.randomElement(using: &random) ?? .normal,
                timeToLive: Int.random(in: 0..<20, using: &random) == 0 ? .milliseconds(20) : nil)
            account.add(try await bus.publish(Tick(sequence: sequence, due: due), to: topic, options: options))
        }
        return account
    }
}

/// One way to be subscribed.
struct ChaosSubject: Sendable {
    let name: String
    let options: SubscriptionOptions
    var isFrozen = false

    static let all: [ChaosSubject] = [
        subject("block", BoundedEventQueue(capacity: 200, deadline: .milliseconds(100))),
        subject("adaptive", BoundedEventQueue(capacity: 200, strategy: .adaptiveRateLimit, deadline: .milliseconds(500))),
        subject("drop", BoundedEventQueue(capacity: 200, strategy: .dropOldest)),
        subject("reject", BoundedEventQueue(capacity: 200, strategy: .rejectNew)),
        subject("keep", BoundedEventQueue(capacity: 200, strategy: .dropOldest, keepsDropped: true)),
        subject("parallel", BoundedEventQueue(capacity: 200, strategy: .dropOldest), concurrency: 4),
        subject("frozen", BoundedEventQueue(capacity: 200, deadline: .milliseconds(100)), isFrozen: true),
    ]

    private static func subject(
        _ name: String, _ queue: BoundedEventQueue, concurrency: Int = 1, isFrozen: Bool = false
    ) -> ChaosSubject {
        ChaosSubject(name: name, options: SubscriptionOptions(name: name, queue: queue, concurrency: concurrency), isFrozen: isFrozen)
    }
}
