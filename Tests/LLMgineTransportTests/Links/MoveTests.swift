import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTransport
import LLMgineWire
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct `A link that moves to a second connection` {
    let around: Neighbourhood

    init() throws { around = try Neighbourhood() }

    private func moves(_ recorder: Recorder, _ count: Int) async {
        let _: Bool = await recorder.first { [recorder] _ in
            recorder.log.count { if case .moved = $0 { true } else { false } } >= count ? true : nil
        }
    }

    @Test func `keeps its credit, its numbers and what waits, in both directions`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        for (end, flow) in [(link.a, 1), (link.b, 2)] as [(LinkConnection, UInt32)] {
            end.update { $0.opened(flow: flow, whenFull: .block, window: Credit(messages: 2500, bytes: .max)) }
        }
        for round in 0..<3 as Range<UInt64> {
            for number in 1...1000 as ClosedRange<UInt64> {
                let topic: Topic = number % 3 == 0 ? "one" : "other"
                let message = Message(topic: topic, payload: ByteBuffer(repeating: 1, count: 200))
                _ = try link.a.append(message, sequence: round * 1000 + number, to: [1])
                _ = try link.b.append(message, sequence: round * 1000 + number, to: [2])
                if number == 500 { try b.endpoint.renew(link.b).whenFailure { Issue.record($0) } }
            }
            await moves(a.delegate, Int(round) + 1)
            await moves(b.delegate, Int(round) + 1)
        }
        #expect(await b.delegate.sequences(2500) == Array(1...2500))
        #expect(await a.delegate.sequences(2500) == Array(1...2500))
        for (end, flow) in [(link.b, 1), (link.a, 2)] as [(LinkConnection, UInt32)] {
            end.send(.grant(GrantFrame(flow: flow, maximumMessages: 3000, maximumBytes: .max)))
        }
        #expect(await b.delegate.sequences(3000) == Array(1...3000))
        #expect(await a.delegate.sequences(3000) == Array(1...3000))
        link.a.close(.shuttingDown)
        #expect(
            await b.delegate.ending()
                == Ending(reason: .shuttingDown, origin: .peer, wasEstablished: true, detail: CloseReason.shuttingDown.text))
    }

    @Test func `stays where it is when there is nobody to move to`() async throws {
        let (a, b) = (try around.station("a"), try around.station("b"))
        let link = try await around.link(a, b)
        await link.listener.close()
        await #expect(throws: LLMgineError(.connectionClosed, "")) { try await b.endpoint.renew(link.b).get() }
        link.b.send(.cancel(CancelFrame(request: 1)))
        let request: UInt64 = await a.delegate.first { if case .frame(.cancel(let cancel)) = $0 { cancel.request } else { nil } }
        #expect(request == 1)
    }

    @Test func `is not to be had for a peer that has none`() async throws {
        var hello = HelloFrame(cluster: "demo", node: "b", incarnation: Incarnation(1))
        hello.isContinuation = true
        let (ending, said) = try await around.meet(opening: .of(.hello(hello)))
        #expect((ending.reason, ending.wasEstablished) == (.unexpectedFrame, false))
        #expect(said.farewell?.detail == "there is no such link to continue")
    }

    @Test func `is cut off if something follows MOVED, or nothing comes of it`() async throws {
        let more = ByteBuffer.of(.moved(MovedFrame()), .pong(PongFrame(nonce: 1)))
        let (ending, said) = try await around.meet(opening: .of(Neighbourhood.hello), next: more)
        #expect((ending.reason, ending.wasEstablished) == (.unexpectedFrame, true))
        #expect(said.farewell?.detail == "something followed MOVED")
    }
}
