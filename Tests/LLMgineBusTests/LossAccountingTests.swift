import LLMgineBus
import LLMgineCore
import LLMgineResilience
import LLMgineTestKit
import Testing

/// Guarantee G3: whatever happens, every event that matched is accounted for.
@Suite(.timeLimit(.minutes(5))) struct `No event is lost in silence` {
    private struct Plan {
        var options: SubscriptionOptions
        /// One in so many events fails for good, one in so many for now.
        var failing: Int
        var yields: Int
    }

    private func plan(_ random: inout SeededGenerator) -> Plan {
        return Plan(
            options: SubscriptionOptions(
                queue: BoundedEventQueue(
                    capacity: [1, 2, 7, 64, 2000].randomElement(using: &random) ?? 1,
                    strategy: BackpressureStrategy.allCases.randomElement(using: &random) ?? .block,
                    deadline: .milliseconds(Int.random(in: 0...2, using: &random)),
                    keepsDropped: Int.random(in: 0..<3, using: &random) == 0),
                concurrency: [1, 1, 1, 4].randomElement(using: &random) ?? 1),
            failing: [2, 10, 1000].randomElement(using: &random) ?? 2, yields: Int.random(in: 0...3, using: &random))
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `by any policy, with failing handlers, and when it ends early`(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let bus = MessageBus(
            BusResilience(
                retry: RetryPolicy(maximumRetries: 2, initialDelay: .zero),
                circuitBreaker: Bool.random(using: &random)
                    ? BreakerPolicy(failureThreshold: 3, recovery: .milliseconds(1), successThreshold: 1) : nil,
                deadLetterCapacity: 100))
        var subscriptions: [Subscription] = []
        var keeping: [Subscription] = []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let plan = plan(&random)
            subscriptions.append(
                try await bus.subscribe("t", options: plan.options) { (tick: Tick, context) in
                    for _ in 0..<plan.yields { await Task.yield() }
                    if tick.number % plan.failing == 0 { throw tick.number % 3 == 0 ? Verdict(isRetryable: false) as any Error : Mishap() }
                })
            if plan.options.queue.keepsDropped, plan.options.queue.strategy != .conflate { keeping += subscriptions.suffix(1) }
        }
        let cancelled = Bool.random(using: &random) ? subscriptions.randomElement(using: &random) : nil
        let count = Int.random(in: 100...600, using: &random)
        let seeds = [random.fork(), random.fork()]
        let receipts = try await withThrowingTaskGroup(of: [PublishReceipt].self) { group in
            for publisher in 0..<2 {
                group.addTask {
                    var random = seeds[publisher]
                    var receipts: [PublishReceipt] = []
                    for number in 0..<count {
                        let options = PublishOptions(
                            priority: Priority.allCases.randomElement(using: &random) ?? .normal,
                            timeToLive: Int.random(in: 0..<20, using: &random) == 0 ? .zero : nil)
                        if Int.random(in: 0..<4, using: &random) == 0 {
                            var message = Message("t", #"{"number":\#(number),"publisher":0}"#, priority: options.priority)
                            message.timeToLive = options.timeToLive
                            receipts.append(try await bus.publish(message))
                        } else {
                            receipts.append(try await bus.publish(Tick(number: number, publisher: publisher), to: "t", options: options))
                        }
                        if publisher == 0, number == count / 2 { await cancelled?.cancel() }
                    }
                    return receipts
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        await bus.stop(deadline: Bool.random(using: &random) ? .seconds(60) : .milliseconds(1))

        func sum(_ count: (PublishReceipt) -> Int) -> Int { receipts.reduce(0) { $0 + count($1) } }
        let statistics = subscriptions.map(\.statistics)
        func total(_ count: (Subscription.Statistics) -> UInt64) -> Int { Int(statistics.reduce(0) { $0 + count($1) }) }
        let matched = sum(\.matched)
        #expect(matched == sum(\.accepted) + sum(\.rejected), "seed \(seed)")
        #expect(sum(\.evicted) == total(\.evicted), "seed \(seed)")
        #expect(sum(\.rejected) == total(\.rejected), "seed \(seed)")
        #expect(total(\.queued) == 0, "seed \(seed)")
        #expect(
            sum(\.accepted) == total(\.processed) + total(\.evicted) + total(\.expired) + total(\.deadLettered),
            "seed \(seed): accepted \(sum(\.accepted)), \(statistics)")
        let kept = keeping.map(\.statistics).reduce(0) { $0 + Int($1.evicted + $1.rejected) }
        #expect(bus.deadLetters.added == UInt64(total(\.deadLettered) + kept), "seed \(seed)")
        for (subscription, statistics) in zip(subscriptions, statistics) {
            let queue = subscription.queueMetrics
            #expect(queue.totalEnqueued == queue.totalDequeued + queue.totalDropped + UInt64(queue.currentSize), "seed \(seed)")
            #expect((queue.totalDropped, queue.totalRejected) == (statistics.evicted, statistics.rejected), "seed \(seed)")
        }
        #expect(bus.deadLetters.evicted + UInt64(bus.deadLetters.count) == bus.deadLetters.added, "seed \(seed)")
        // Every eviction shows in a gap marker, unless nothing came after it.
        #expect(total(\.missed) <= total(\.evicted), "seed \(seed)")
    }
}
