import Foundation
import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineTestKit
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The status of a node` {
    @Test func `stays short with thousands of subscriptions, and says what it leaves out`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<Topic>()
        var watched: Subscription?
        let tail = String(repeating: "x", count: 200)
        for number in 0..<5000 {
            var filters: [TopicFilter] = []
            for part in 0..<4 { filters.append(try TopicFilter("t\(number).\(part).\(tail)")) }
            let subscription = try await nodes[1].bus.subscribe(
                filters[0], filters[1], filters[2], filters[3], options: SubscriptionOptions(name: "s\(number)", isRemote: false)
            ) { (message: Message, _) in inbox.add(message.topic) }
            if number == 4321 { watched = subscription }
        }
        let busy = try Topic("t4321.0.\(tail)")
        try await nodes[1].bus.publish(Message(topic: busy, payload: ByteBuffer()))
        #expect(await inbox.wait(for: 1) == [busy])
        let handled = try #require(watched)
        while handled.statistics.processed == 0 { await Task.yield() }

        let question = Message(topic: try Node.statusTopic("b"), payload: ByteBuffer())
        let reply = try await nodes[0].bus.request(question, options: RequestOptions(deadline: .seconds(30))).first()
        #expect(reply.payload.readableBytes < 256 << 10)
        let status = try JSONDecoder().decode(NodeStatus.self, from: Data(reply.payload.readableBytesView))
        let totals = try #require(status.totals)
        #expect(totals.subscriptions >= 5000)
        #expect(totals.processed >= 1)
        #expect(status.subscriptions.count <= 200)
        #expect(status.omitted?.subscriptions == totals.subscriptions - status.subscriptions.count)
        let shown = try #require(status.subscriptions.first { $0.name == "s4321" })
        #expect(shown.filters.count == 3)
        #expect(shown.moreFilters == 1)

        // Asked here, the node tells everything.
        let whole = await nodes[1].status()
        #expect(whole.omitted == nil)
        #expect(whole.subscriptions.count == totals.subscriptions)
        for node in nodes { await node.stop() }
    }

    @Test func `fits into one reply, however many members, links and blocked subscriptions there are`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        var status = await nodes[0].status()
        for node in nodes { await node.stop() }
        let (own, linked) = (status.members[0], status.members[1])
        var gone = linked
        gone.state = "unreachable"
        var link = try #require(status.links.first)
        let blocked = #"{"subscription": "t#1", "priority": "normal", "messages": 1, "bytes": 1, "isDemoted": false}"#
        link.blocked = Array(repeating: try JSONDecoder().decode(NodeStatus.Blocked.self, from: Data(blocked.utf8)), count: 2)
        link.queuedMessages = 0
        var busy = link
        busy.queuedMessages = 1
        status.members = [own] + Array(repeating: gone, count: 4094) + [linked]
        status.links = Array(repeating: link, count: 999) + [busy]
        for maximum in [1 << 20, 16 << 10, 1 << 10] {
            let data = try status.encoded(within: maximum)
            #expect(data.count <= maximum)
            let told = try JSONDecoder().decode(NodeStatus.self, from: data)
            #expect(told.members.first == own)
            #expect(told.omitted?.members == 4096 - told.members.count)
            #expect(told.omitted?.links == 1000 - told.links.count)
            #expect(told.omitted?.blocked == 2000 - told.links.reduce(0) { $0 + $1.blocked.count })
            guard maximum > 1 << 10 else { continue }
            #expect(told.members.last == linked)
            #expect(told.links.last?.queuedMessages == 1)
        }
    }

    @Test func `is told in full where there is not much of it`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a"])
        try await nodes[0].bus.subscribe("one", "two", options: SubscriptionOptions(name: "few")) { (_: Message, _) in }
        let status = await nodes[0].status()
        #expect(status.shortened() == status)
        #expect(status.totals?.subscriptions == status.subscriptions.count)
        for node in nodes { await node.stop() }
    }
}
