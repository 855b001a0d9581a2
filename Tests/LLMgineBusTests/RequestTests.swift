import LLMgineBus
import LLMgineCore
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A request` {
    private let bus = MessageBus(.swift)

    @Test func `is answered by the responder of its topic`() async throws {
        try await bus.respond(to: "sum.*") { message, context in
            #expect((context.requester, context.session) == ("n", "BUS"))
            return ByteBuffer(string: message.text + "!")
        }
        let answer = try await bus.request(Message("sum.a", "hello"))
        #expect(try await answer.first().text == "hello!")
        #expect(answer.responder == "n")
        await bus.stop()
    }

    @Test func `fails at once when nobody responds`() async throws {
        let answer = try await bus.request(Message("q", ""))
        await #expect(throws: LLMgineError(.noResponders, "")) { try await answer.first() }
        await bus.stop()
    }

    @Test func `fails when no responder has a slot before its deadline`() async throws {
        let gate = Gate()
        let busy = Gate()
        try await bus.respond(to: "q", options: .init(concurrency: 1)) { _, _ in
            busy.open()
            await gate.pass()
            return ByteBuffer()
        }
        let first = try await bus.request(Message("q", ""))
        await busy.pass()
        let second = try await bus.request(Message("q", ""), options: .init(deadline: .milliseconds(5)))
        await #expect(throws: LLMgineError(.noCapacity, "")) { try await second.first() }
        gate.open()
        _ = try await first.first()
        await bus.stop()
    }

    @Test func `waits for a slot and gets it`() async throws {
        let seen = Journal<String>()
        let gate = Gate()
        try await bus.respond(to: "q", options: .init(concurrency: 1)) { message, _ in
            seen.add(message.text)
            await gate.pass()
            return message.payload
        }
        let answers = [try await bus.request(Message("q", "1")), try await bus.request(Message("q", "2"))]
        await seen.first(1)
        gate.open()
        #expect(try await answers[0].first().text == "1")
        #expect(try await answers[1].first().text == "2")
        await bus.stop()
    }

    @Test func `fails at its deadline, and the responder hears of it`() async throws {
        let asked = Gate()
        let cancelled = Gate()
        try await bus.respond(to: "q") { _, _ in
            asked.open()
            do { try await cancellation() } catch { cancelled.open() }
            return ByteBuffer()
        }
        let began = ContinuousClock.now
        let answer = try await bus.request(Message("q", ""), options: .init(deadline: .milliseconds(20)))
        await #expect(throws: LLMgineError(.deadlineExceeded, "")) { try await answer.first() }
        #expect(ContinuousClock.now - began >= .milliseconds(20))
        if asked.isOpen { await cancelled.pass() }  // on a busy machine the deadline may pass before the handler's task runs
        await bus.stop()
    }

    @Test func `is cancelled with the task that reads its answer`() async throws {
        let asked = Gate()
        let cancelled = Gate()
        try await bus.respond(to: "q") { _, _ in
            asked.open()
            do { try await cancellation() } catch { cancelled.open() }
            return ByteBuffer()
        }
        let reader = Task { [bus] in try await bus.request(Message("q", "")).first() }
        await asked.pass()
        reader.cancel()
        await #expect(throws: LLMgineError(.cancelled, "")) { try await reader.value }
        await cancelled.pass()
        await bus.stop()
    }

    @Test func `is cancelled when nobody can read its answer`() async throws {
        let cancelled = Gate()
        try await bus.respond(to: "q") { _, _ in
            do { try await cancellation() } catch { cancelled.open() }
            return ByteBuffer()
        }
        _ = try await bus.request(Message("q", ""))
        await cancelled.pass()
        await bus.stop()
    }

    @Test func `gets the error of its responder`() async throws {
        try await bus.respond(to: "own") { _, _ in throw LLMgineError(.invalidArgument, "no such model") }
        try await bus.respond(to: "other") { _, _ in throw Mishap() }
        let own = try await bus.request(Message("own", ""))
        await #expect(throws: LLMgineError(.invalidArgument, "")) { try await own.first() }
        let other = try await bus.request(Message("other", ""))
        await #expect(throws: LLMgineError(.remoteError, "")) { try await other.first() }
        await bus.stop()
    }

    @Test func `is answered as cancelled when its responder goes`() async throws {
        let asked = Gate()
        let responder = try await bus.respond(to: "q") { _, _ in
            asked.open()
            try await cancellation()
            return ByteBuffer()
        }
        let answer = try await bus.request(Message("q", ""))
        await asked.pass()
        await responder.cancel()
        await #expect(throws: LLMgineError(.cancelled, "")) { try await answer.first() }
        let late = try await bus.request(Message("q", ""))
        await #expect(throws: LLMgineError(.noResponders, "")) { try await late.first() }
        await bus.stop()
    }

    @Test func `may be answered by a handler that ends its own responder`() async throws {
        let handle = Journal<Responder>()
        let responder = try await bus.respond(to: "q") { _, _ in
            await handle.first(1)[0].cancel()
            return ByteBuffer(string: "last")
        }
        handle.add(responder)
        let answer = try await bus.request(Message("q", ""))
        #expect(try await answer.first().text == "last")
        await bus.stop()
    }

    @Test func `never reaches a node that it excludes`() async throws {
        try await bus.respond(to: "q") { _, _ in ByteBuffer() }
        let answer = try await bus.request(Message("q", ""), options: .init(excluding: ["n"]))
        await #expect(throws: LLMgineError(.noResponders, "")) { try await answer.first() }
        await bus.stop()
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A stream of replies` {
    private let bus = MessageBus(.swift)

    @Test func `keeps its order and ends with the last reply`() async throws {
        try await bus.respond(to: ["q"]) { _, _, writer in
            for number in 0..<1000 { try await writer.send(ByteBuffer(string: "\(number)")) }
        }
        var numbers: [String] = []
        for try await reply in try await bus.request(Message("q", ""), options: .init(replyWindow: 4)) { numbers.append(reply.text) }
        #expect(numbers == (0..<1000).map { "\($0)" })
        await bus.stop()
    }

    @Test func `is at most a window ahead of its reader`() async throws {
        let sent = Journal<Int>()
        try await bus.respond(to: ["q"]) { _, _, writer in
            for number in 0..<100 {
                try await writer.send(ByteBuffer(string: "\(number)"))
                sent.add(number)
            }
        }
        let answer = try await bus.request(Message("q", ""), options: .init(replyWindow: 8))
        await sent.first(8)
        for _ in 0..<1000 { await Task.yield() }
        #expect(sent.entries.count == 8)
        var count = 0
        for try await _ in answer {
            count += 1
            #expect(sent.entries.count <= count + 8)
        }
        #expect(count == 100)
        await bus.stop()
    }

    @Test func `gives what came before it failed`() async throws {
        try await bus.respond(to: ["q"]) { _, _, writer in
            try await writer.send(ByteBuffer(string: "one"))
            throw Mishap()
        }
        var iterator = try await bus.request(Message("q", "")).makeAsyncIterator()
        #expect(try await iterator.next()?.text == "one")
        await #expect(throws: LLMgineError(.remoteError, "")) { _ = try await iterator.next() }
        await bus.stop()
    }

    @Test func `ends its sender's waiting when the reader goes`() async throws {
        let failed = Journal<LLMgineError>()
        try await bus.respond(to: ["q"]) { _, _, writer in
            do throws(LLMgineError) {
                while true { try await writer.send(ByteBuffer()) }
            } catch {
                failed.add(error)
            }
        }
        do {
            var iterator = try await bus.request(Message("q", ""), options: .init(replyWindow: 2)).makeAsyncIterator()
            _ = try await iterator.next()
        }
        #expect(await failed.first(1) == [LLMgineError(.cancelled, "")])
        await bus.stop()
    }
}
