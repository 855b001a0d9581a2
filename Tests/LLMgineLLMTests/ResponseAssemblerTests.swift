import LLMgineLLM
import Testing

@Suite struct `An answer in pieces` {
    static let finish = LLMStreamEvent.Kind.finish(LLMFinishReason(.stop), LLMUsage(input: .init(total: 3), output: .init(total: 2)))

    static func assembled(_ kinds: [LLMStreamEvent.Kind]) throws -> LLMResponse {
        var assembler = ResponseAssembler()
        for (sequence, kind) in kinds.enumerated() { try assembler.append(LLMStreamEvent(sequence: sequence, kind: kind)) }
        return try assembler.response()
    }

    @Test func `becomes the whole`() throws {
        let warning = LLMWarning(setting: "topK", detail: "not sent")
        let blob = LLMOpaque(origin: "a/b/c", kind: "signature", data: "xyz")
        let response = try Self.assembled([
            .start(LLMStart(id: "r1", model: "m-1", provider: "p", worker: "w", warnings: [warning])),
            .usage(LLMUsage(input: .init(total: 3))),
            .reasoningDelta("Hm"), .reasoningDelta("m."), .opaque(blob), .textDelta("Hel"), .textDelta("lo"),
            .toolCallStart(index: 0, id: "c1", name: "weather"), .toolCallStart(index: 1, id: "c2", name: "time"),
            .toolCallDelta(index: 1, arguments: "{\"z\""), .toolCallDelta(index: 0, arguments: "{}"),
            .toolCallDelta(index: 1, arguments: ":1}"),
            .toolCallEnd(index: 0), .toolCallEnd(index: 1), Self.finish,
        ])
        #expect(
            response
                == LLMResponse(
                    id: "r1", model: "m-1", provider: "p", worker: "w", text: "Hello",
                    reasoning: LLMReasoning(text: "Hmm.", opaque: [blob]),
                    toolCalls: [
                        LLMToolCall(id: "c1", name: "weather", arguments: "{}"),
                        LLMToolCall(id: "c2", name: "time", arguments: "{\"z\":1}"),
                    ],
                    usage: LLMUsage(input: .init(total: 3), output: .init(total: 2)), warnings: [warning]))
        #expect(response.message.toolCalls == response.toolCalls)
        #expect(response.message.text == "Hello")
    }

    @Test func `is truncated when the end is missing, and says after how much`() {
        let error = #expect(throws: LLMError.self) {
            try Self.assembled([.start(LLMStart(model: "m", provider: "p")), .textDelta("Hello")])
        }
        #expect(error?.code == .truncatedStream)
        #expect(error?.deliveredBytes == 5)
    }

    @Test(arguments: [
        [LLMStreamEvent.Kind.start(LLMStart(model: "m", provider: "p")), .start(LLMStart(model: "m", provider: "p")), finish],
        [.start(LLMStart(model: "m", provider: "p")), finish, .textDelta("x")],
        [.start(LLMStart(model: "m", provider: "p")), .toolCallDelta(index: 0, arguments: "x"), finish],
        [.start(LLMStart(model: "m", provider: "p")), .toolCallStart(index: 1, id: "c", name: "n"), finish],
        [.start(LLMStart(model: "m", provider: "p")), .toolCallEnd(index: -1), finish],
    ])
    func `is refused when a piece is out of place`(kinds: [LLMStreamEvent.Kind]) {
        #expect(throws: LLMError(.protocolViolation, "")) { try Self.assembled(kinds) }
    }

    @Test func `is refused when a piece is missing`() throws {
        var assembler = ResponseAssembler()
        try assembler.append(LLMStreamEvent(sequence: 0, kind: .start(LLMStart(model: "m", provider: "p"))))
        #expect(throws: LLMError(.protocolViolation, "")) { try assembler.append(LLMStreamEvent(sequence: 2, kind: .textDelta("x"))) }
    }

    @Test func `throws the error that it carries`() {
        #expect(throws: LLMError(.rateLimited, "")) {
            try Self.assembled([.start(LLMStart(model: "m", provider: "p")), .error(LLMError(.rateLimited, "slow down"))])
        }
    }

    @Test func `loses nothing when neighbours are joined`() {
        let kinds: [LLMStreamEvent.Kind] = [
            .textDelta("a"), .textDelta("b"), .reasoningDelta("c"), .reasoningDelta("d"), .textDelta("e"),
            .toolCallDelta(index: 0, arguments: "1"),
            .toolCallDelta(index: 0, arguments: "2"), .toolCallDelta(index: 1, arguments: "3"), Self.finish,
        ]
        #expect(
            kinds.coalesced() == [
                .textDelta("ab"), .reasoningDelta("cd"), .textDelta("e"), .toolCallDelta(index: 0, arguments: "12"),
                .toolCallDelta(index: 1, arguments: "3"), Self.finish,
            ])
    }

    @Test func `loses nothing when it is cut to fit`() {
        let text = String(repeating: "aü😀", count: 50)
        let kinds: [LLMStreamEvent.Kind] = [
            .textDelta("x"), .textDelta(text), .toolCallStart(index: 0, id: "c", name: "n"), .toolCallDelta(index: 0, arguments: text),
            .reasoningDelta("y"), Self.finish,
        ]
        for limit in [1, 4, 7, 100, 10_000] {
            let batches = kinds.batched(limit: limit)
            #expect(batches.flatMap(\.self).coalesced() == kinds.coalesced())
            #expect(batches.allSatisfy { !$0.isEmpty && $0.reduce(0) { $0 + $1.deliveredBytes } <= max(limit, 4) })
        }
        #expect([LLMStreamEvent.Kind]().batched(limit: 10).isEmpty)
    }
}
