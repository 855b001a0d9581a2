import LLMgineBus
import LLMgineCore
import LLMgineFlow
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct `Subscriptions that hold one event back together` {
    private static let deadline = Duration.seconds(1)
    /// Less than two deadlines one after the other, and as much more than one as a busy machine may need.
    private static let bound = Duration.milliseconds(1900)

    @Test func `on two other nodes are waited for at the same time`() async throws {
        let bus = MessageBus(.swift)
        for node: NodeID in ["b", "c"] { bus.addRemote(FrozenRoute(node, deadline: Self.deadline).flow) }
        let receipt = try await bus.publish(Message("t", "x"))
        #expect((receipt.matched, receipt.accepted, receipt.slow.sorted()) == (2, 2, ["b/1", "c/1"]))
        #expect(receipt.waited >= Self.deadline && receipt.waited < Self.bound, "\(receipt.waited)")
        await bus.stop()
    }

    @Test func `each have their own deadline, from the first offer on`() async throws {
        let bus = MessageBus(.swift)
        let deadlines: [(NodeID, Int)] = [("b", 1000), ("c", 1100), ("d", 200)]
        for (node, deadline) in deadlines { bus.addRemote(FrozenRoute(node, deadline: .milliseconds(deadline)).flow) }
        let receipt = try await bus.publish(Tick(number: 1), to: "t")
        #expect(receipt.slow.sorted() == ["b/1", "c/1", "d/1"])
        #expect(receipt.waited >= .milliseconds(1100) && receipt.waited < Self.bound, "\(receipt.waited)")
        await bus.stop()
    }

    @Test func `on this node are waited for at the same time`() async throws {
        let bus = MessageBus(.swift)
        let held = try await Self.twoFull(on: bus)
        let receipt = try await bus.publish(Tick(number: 1), to: "t")
        #expect(receipt.slow.sorted() == ["first", "second"])
        #expect(receipt.waited >= Self.deadline && receipt.waited < Self.bound, "\(receipt.waited)")
        for subscription in held { subscription.gate.open() }
        await bus.stop()
    }

    @Test func `are waited for at the same time by a publisher that waits for its handlers, too`() async throws {
        let bus = MessageBus(.swift)
        let held = try await Self.twoFull(on: bus)
        let receipt = try await bus.publish(Tick(number: 1), to: "t", until: .processed(within: .milliseconds(100)))
        #expect(Set(receipt.slow) == ["first", "second"])
        #expect(receipt.waited >= Self.deadline && receipt.waited < Self.bound, "\(receipt.waited)")
        for subscription in held { subscription.gate.open() }
        await bus.stop()
    }

    @Test func `on this node and another are waited for at the same time`() async throws {
        let bus = MessageBus(.swift)
        let held = try await Self.twoFull(on: bus)
        bus.addRemote(FrozenRoute("b", deadline: Self.deadline).flow)
        let receipt = try await bus.publish(Tick(number: 1), to: "t")
        #expect(receipt.slow.sorted() == ["b/1", "first", "second"])
        #expect(receipt.waited >= Self.deadline && receipt.waited < Self.bound, "\(receipt.waited)")
        for subscription in held { subscription.gate.open() }
        await bus.stop()
    }

    @Test func `on another node are not taken for stuck if they have had room meanwhile`() async throws {
        let bus = MessageBus(.swift)
        let busy = BusyRoute("c", deadline: .seconds(1))
        for flow in [FrozenRoute("b", deadline: .seconds(1)).flow, busy.flow] { bus.addRemote(flow) }
        let clock = try await HeldSubscription(
            on: bus, "clock", options: .init(capacity: 1, whenFull: .block(deadline: .milliseconds(100))))
        async let publish = bus.publish(Message("t", "x"))
        while busy.offers < 2 { await Task.yield() }
        try await bus.publish(Tick(number: 1), to: "clock")
        busy.makeRoom()
        let receipt = try await publish
        #expect((receipt.slow, receipt.matched, receipt.accepted) == (["b/1"], 2, 2))
        clock.gate.open()
        await bus.stop()
    }

    /// The first one has the event in its queue by which the second is told to be at work.
    private static func twoFull(on bus: MessageBus) async throws -> [HeldSubscription] {
        let whenFull = WhenFull.block(deadline: deadline)
        return [
            try await HeldSubscription(on: bus, options: .init(name: "first", capacity: 2, whenFull: whenFull)),
            try await HeldSubscription(on: bus, options: .init(name: "second", capacity: 1, whenFull: whenFull)),
        ]
    }
}

/// The way to one subscription of another node, which has no room until publishers no longer wait for it.
private final class FrozenRoute: RemoteRoute {
    private struct State {
        var isDemoted = false
        var waiters: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    let peer: NodeID
    private let deadline: Duration
    private let state = Mutex(State())

    init(_ peer: NodeID, deadline: Duration) {
        self.peer = peer
        self.deadline = deadline
    }

    var flow: RemoteFlow { RemoteFlow(by: .own(self), flow: 1, filters: ["t"], group: nil) }

    func offer(_: borrowing Message, sequence _: UInt64) -> RemoteOffer {
        state.withLock { $0.isDemoted } ? .accepted(evicted: 1, rejected: 0) : .full
    }

    func waitForRoom(_ onRegistered: (UInt64) -> Void) async -> Bool {
        await withCheckedContinuation { continuation in
            let id = state.withLock { state in
                state.nextWaiter += 1
                state.waiters[state.nextWaiter] = continuation
                return state.nextWaiter
            }
            onRegistered(id)
        }
    }

    func giveUp(_ waiter: UInt64) { state.withLock { $0.waiters.removeValue(forKey: waiter) }?.resume(returning: false) }

    var holders: [PublisherHold.Holder] {
        state.withLock { $0.isDemoted } ? [] : [PublisherHold.Holder(flow: 1, deadline: deadline)]
    }

    func demote(_ flows: [UInt32]) -> [String] {
        state.withLock { $0.isDemoted = true }
        return flows.map { "\(peer)/\($0)" }
    }

    func credit(for _: Priority) -> Int { 0 }
}

/// The way to one subscription of another node, which is full when it is first offered an event, and again the next time.
private final class BusyRoute: RemoteRoute {
    private struct State {
        var offers = 0
        var hasRoom = false
        var waiter: CheckedContinuation<Bool, Never>?
    }

    let peer: NodeID
    private let deadline: Duration
    private let state = Mutex(State())

    init(_ peer: NodeID, deadline: Duration) {
        self.peer = peer
        self.deadline = deadline
    }

    var flow: RemoteFlow { RemoteFlow(by: .own(self), flow: 2, filters: ["t"], group: nil) }
    var offers: Int { state.withLock { $0.offers } }

    func offer(_: borrowing Message, sequence _: UInt64) -> RemoteOffer {
        state.withLock { state in
            state.offers += 1
            return state.offers < 3 ? .full : .accepted(evicted: 0, rejected: 0)
        }
    }

    func waitForRoom(_ onRegistered: (UInt64) -> Void) async -> Bool {
        await withCheckedContinuation { continuation in
            let hasRoom = state.withLock { state in
                if !state.hasRoom { state.waiter = continuation }
                return state.hasRoom
            }
            if hasRoom { continuation.resume(returning: true) } else { onRegistered(1) }
        }
    }

    func makeRoom() {
        let waiter = state.withLock { state in
            state.hasRoom = true
            return state.waiter.take()
        }
        waiter?.resume(returning: true)
    }

    func giveUp(_: UInt64) { state.withLock { $0.waiter.take() }?.resume(returning: false) }
    var holders: [PublisherHold.Holder] { [PublisherHold.Holder(flow: 2, deadline: deadline, turn: UInt64(offers))] }
    func demote(_: [UInt32]) -> [String] { ["\(peer)/2"] }
    func credit(for _: Priority) -> Int { 0 }
}
