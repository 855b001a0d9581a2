import LLMgineBus
import LLMgineCore
import LLMgineJournal
import LLMgineNode
import LLMgineTestKit
import Synchronization
import Testing

/// Durable events over links, with a publisher that comes back as a new life of its node.
@Suite(.timeLimit(.minutes(1))) struct `A durable event for another node` {
    private final class Scene: Sendable {
        let cluster: TestCluster
        let place: Place
        let b: Node

        init() async throws {
            cluster = try TestCluster()
            place = try Place()
            b = try await cluster.node("b")
        }

        /// A life of the publisher.
        func publisher(_ journal: FileJournal) async throws -> Node {
            var configuration = try cluster.configuration("a", seeds: [try #require(b.listeningAddress)])
            configuration.journal = journal
            let node = try await Node(configuration: configuration)
            try await node.linked(to: 1)
            return node
        }

        func stop(_ nodes: Node..., journal: FileJournal) async {
            for node in nodes + [b] { _ = await node.stop(deadline: .zero) }
            await journal.close()
            cluster.remove()
            place.remove()
        }
    }

    @Test func `is owed until that node's handler has processed it`() async throws {
        let scene = try await Scene()
        let journal = try FileJournal(path: scene.place.path)
        let a = try await scene.publisher(journal)
        let seen = Seen()
        let subscription = try await scene.b.bus.subscribe("orders", options: .init(name: "orders", delivery: .atLeastOnce)) {
            (order: OrderPlaced, _) in seen.add(order.id)
        }
        try await subscription.established()
        for id in 1...20 {
            let receipt = try await a.bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable)
            #expect((receipt.matched, receipt.accepted) == (1, 1))
        }
        #expect(try await seen.reaches(20) == Array(1...20))
        try await journal.settled()
        #expect(journal.statistics.appended == 20)
        await scene.stop(a, journal: journal)
    }

    @Test(arguments: ["orders", nil])
    func `comes after a restart of its publisher, with its identity, once`(name: String?) async throws {
        let scene = try await Scene()
        let seen = Seen()
        let ids = Known()
        let gate = AsyncStream.makeStream(of: Void.self)
        let subscription = try await scene.b.bus.subscribe("orders", options: .init(name: name, delivery: .atLeastOnce)) {
            (order: OrderPlaced, context) in
            ids.note(context.id, order.id)
            seen.add(order.id)
            if order.id == 2 { for await _ in gate.stream {} }
        }
        try await subscription.established()
        var first = try FileJournal(path: scene.place.path)
        let a = try await scene.publisher(first)
        while try await a.bus.publish(OrderPlaced(id: 0), to: "orders").matched == 0 { await Task.yield() }
        var published: [MessageID] = []
        for id in 1...5 { published.append(try await a.bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable).id) }
        _ = try await seen.reaches(3)
        // All but the first are owed: the second is being handled, the others are queued over there.
        while first.statistics.open > 4 { await Task.yield() }
        _ = await a.stop(deadline: .zero)
        #expect(a.bus.deadLetters.count == 0)
        await first.close()

        first = try FileJournal(path: scene.place.path)
        #expect(first.statistics.open == 4)
        let again = try await scene.publisher(first)
        gate.continuation.finish()
        try await first.settled()
        #expect(seen.all.filter { $0 > 0 } == [1, 2, 3, 4, 5], "what was there already is recognised")
        #expect((1...5).map { ids.of($0) } == published)
        #expect(again.bus.deadLetters.count == 0)
        await scene.stop(again, journal: first)
    }

    @Test func `goes to a new life of the subscriber too`() async throws {
        let scene = try await Scene()
        var journal = try FileJournal(path: scene.place.path)
        let a = try await scene.publisher(journal)
        let options = SubscriptionOptions(name: "orders", delivery: .atLeastOnce)
        let gate = AsyncStream.makeStream(of: Void.self)
        let before = try await scene.b.bus.subscribe("orders", options: options) { (_: OrderPlaced, _) in
            for await _ in gate.stream {}
            try Task.checkCancellation()
        }
        try await before.established()
        for id in 1...3 { try await a.bus.publish(OrderPlaced(id: id), to: "orders", durability: .durable) }
        _ = await a.stop(deadline: .zero)
        await journal.close()
        await before.cancel()

        journal = try FileJournal(path: scene.place.path)
        let again = try await scene.publisher(journal)
        let seen = Seen()
        try await scene.b.bus.subscribe("orders", options: options) { (order: OrderPlaced, _) in seen.add(order.id) }
        #expect(try await seen.reaches(3) == [1, 2, 3])
        try await journal.settled()
        await scene.stop(again, journal: journal)
    }
}

/// Under which identity each order came.
private final class Known: Sendable {
    private let ids = Mutex<[Int: MessageID]>([:])
    func note(_ id: MessageID, _ order: Int) { ids.withLock { $0[order] = id } }
    func of(_ order: Int) -> MessageID? { ids.withLock { $0[order] } }
}
