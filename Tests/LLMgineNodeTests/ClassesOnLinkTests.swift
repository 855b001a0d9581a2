import LLMgineBus
import LLMgineCore
import LLMgineNode
import LLMgineResilience
import LLMgineTestKit
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct `A link full of low messages` {
    @Test func `is passed by urgent ones, and the low ones are all there in the end`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let handled = Atomic<Int>(0)
        let low = Inbox<UInt64>()
        let lag = Inbox<(before: Int, after: Int)>()
        try await nodes[1].bus.subscribe("load") { (message: Message, context) in
            handled.add(1, ordering: .relaxed)
            low.add(context.sequence)
        }
        let subscription = try await nodes[1].bus.subscribe("alarm") { (message: Message, _) in
            let before = message.payload.getInteger(at: message.payload.readerIndex, as: Int.self) ?? 0
            lag.add((before, handled.load(ordering: .relaxed)))
        }
        try await subscription.established()
        let (count, alarms) = (4000, 40)
        for number in 1...count {
            let load = Message(topic: "load", payload: ByteBuffer(repeating: 1, count: 8 << 10), priority: .low)
            try await nodes[0].bus.publish(load)
            guard number % (count / alarms) == 0 else { continue }
            let alarm = Message(topic: "alarm", payload: ByteBuffer(integer: number), priority: .urgent)
            try await nodes[0].bus.publish(alarm)
        }
        let lags = await lag.wait(for: alarms)
        // The publisher is held back only when half a thousand messages wait, so most alarms have found a full link.
        let overtaken = lags.map { $0.before - $0.after }.sorted()
        #expect(overtaken[alarms / 2] > 50, "an alarm in the middle overtook \(overtaken[alarms / 2]) messages")
        let sequences = await low.wait(for: count)
        #expect(sequences == sequences.sorted() && Set(sequences).count == count)
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `is passed by urgent requests`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let counts = Counts()
        try await nodes[1].bus.respond(to: "ask") { _, _ in ByteBuffer(integer: counts.handled.load(ordering: .relaxed)) }
        let subscription = try await nodes[1].bus.subscribe("load") { (_: Message, _) in counts.handled.add(1, ordering: .relaxed) }
        try await subscription.established()
        let bus = nodes[0].bus
        let load = Task {
            let message = Message(topic: "load", payload: ByteBuffer(repeating: 1, count: 8 << 10), priority: .low)
            while !Task.isCancelled {
                try await bus.publish(message)
                counts.published.add(1, ordering: .relaxed)
            }
        }
        defer { load.cancel() }
        let asks = 40
        var overtaken: [Int] = []
        var times: [Duration] = []
        for number in 1...asks {
            // Each finds another stretch of the stream.
            while counts.published.load(ordering: .relaxed) < number * 100 { try await breathe() }
            let before = counts.published.load(ordering: .relaxed)
            let begin = ContinuousClock.now
            let reply = try await bus.request(Message(topic: "ask", payload: ByteBuffer(), priority: .urgent)).first()
            times.append(ContinuousClock.now - begin)
            let after = reply.payload.getInteger(at: reply.payload.readerIndex, as: Int.self) ?? before
            overtaken.append(before - after)
        }
        load.cancel()
        _ = await load.result
        let middle = (overtaken: overtaken.sorted()[asks / 2], time: times.sorted()[asks / 2])
        #expect(middle.overtaken > 50, "a request in the middle overtook \(middle.overtaken) messages")
        // Tens of milliseconds on a quiet machine; behind all that waits it would be many seconds on a slow one.
        #expect(middle.time < .seconds(2), "a request in the middle took \(middle.time)")
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `has credit for the classes above, whatever the low ones have used up`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let (inbox, gate) = (Inbox<Priority>(), Inbox<Void>())
        let subscription = try await nodes[1].bus.subscribe(
            "mixed", options: SubscriptionOptions(capacity: 8, whenFull: .block(deadline: .seconds(60)))
        ) { (message: Message, context) in
            inbox.add(context.priority)
            if inbox.items.count == 1 { _ = await gate.wait(for: 1) }
        }
        try await subscription.established()
        for _ in 1...100 { try await nodes[0].bus.publish(Message(topic: "mixed", payload: ByteBuffer(), priority: .low)) }
        while subscription.queueMetrics.currentSize < 8 { try await breathe() }
        for _ in 1...4 { try await nodes[0].bus.publish(Message(topic: "mixed", payload: ByteBuffer(), priority: .urgent)) }
        while subscription.queueMetrics.currentSize < 12 { try await breathe() }
        gate.add(())
        let order = await inbox.wait(for: 104)
        #expect(order.dropFirst().prefix(4) == [.urgent, .urgent, .urgent, .urgent])
        for node in nodes { #expect(await node.stop() == [:]) }
    }
}

/// Low messages of a stream: how many were published, and how many have been handled on the other node.
private final class Counts: Sendable {
    let published = Atomic<Int>(0)
    let handled = Atomic<Int>(0)
}

@Suite(.timeLimit(.minutes(2))) struct `Long messages between nodes` {
    @Test func `arrive whole, in order, among short ones of the same and of other topics`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inboxes = (Inbox<Message>(), Inbox<Message>())
        try await nodes[1].bus.subscribe("a") { (message: Message, _) in inboxes.0.add(message) }
        let subscription = try await nodes[1].bus.subscribe(">") { (message: Message, _) in
            if message.topic == "a" || message.topic == "b" { inboxes.1.add(message) }
        }
        try await subscription.established()
        let lengths = [0, 100, 16_300, 16_384, 17_000, 100_000, 1 << 20, 5]
        func payload(_ number: Int) -> ByteBuffer {
            var payload = ByteBuffer(integer: number)
            payload.writeRepeatingByte(UInt8(number), count: max(8, lengths[number % lengths.count]) - 8)
            return payload
        }
        for number in 0..<160 {
            let message = Message(topic: number % 3 == 0 ? "b" : "a", payload: payload(number), headers: ["n": "\(number)"])
            #expect(try await nodes[0].bus.publish(message).accepted == 1)
        }
        func number(_ message: Message) -> Int { message.payload.getInteger(at: message.payload.readerIndex, as: Int.self) ?? -1 }
        let all = await inboxes.1.wait(for: 160)
        for topic: Topic in ["a", "b"] {
            #expect(all.filter { $0.topic == topic }.map(number) == (0..<160).filter { ($0 % 3 == 0) == (topic == "b") })
        }
        #expect(await inboxes.0.wait(for: 106).map(number) == (0..<160).filter { $0 % 3 != 0 })
        for message in all {
            let number = number(message)
            #expect(message.payload == payload(number))
            #expect(message.headers.pairs.map(\.value) == ["\(number)"])
        }
        for node in nodes { #expect(await node.stop() == [:]) }
    }

    @Test func `that are cut off by the end of the link are forgotten, and the next link begins anew`() async throws {
        let cluster = try TestCluster()
        defer { cluster.remove() }
        let nodes = try await cluster.mesh(["a", "b"])
        let inbox = Inbox<Int>()
        let subscription = try await nodes[1].bus.subscribe("a") { (message: Message, _) in inbox.add(message.payload.readableBytes) }
        try await subscription.established()
        for _ in 0..<20 { try await nodes[0].bus.publish(Message(topic: "a", payload: ByteBuffer(repeating: 1, count: 1 << 20))) }
        await nodes[0].stop(deadline: .zero)
        while !nodes[1].peers.isEmpty { try await breathe() }
        #expect(inbox.items.allSatisfy { $0 == 1 << 20 })
        let again = try await cluster.node("c", seeds: [nodes[1].listeningAddress ?? ""])
        try await again.linked(to: 1)
        try await nodes[1].established()
        let before = inbox.items.count
        try await again.bus.publish(Message(topic: "a", payload: ByteBuffer(repeating: 1, count: 100_000)))
        #expect(await inbox.wait(for: before + 1).last == 100_000)
        for node in [nodes[1], again] { await node.stop() }
    }
}

/// Lets others run. - Throws: when the test is over.
func breathe() async throws {
    try Task.checkCancellation()
    await Task.yield()
}
