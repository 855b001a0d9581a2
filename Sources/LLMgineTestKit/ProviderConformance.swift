public import LLMgineLLM

/// What every provider must do, whatever its vendor. A new provider passes it before it has any test of its own.
///
/// ```swift
/// let findings = await ProviderConformance(provider, situations).findings()
/// #expect(findings.isEmpty)
/// ```
public struct ProviderConformance: Sendable {
    /// Requests that bring a provider into the situations which are checked.
    public struct Situations: Sendable {
        /// Is answered with text of at least two tokens, and no tools.
        public var answer: LLMRequest
        /// Is answered with at least two tool calls, nil if the provider calls none.
        public var toolCalls: LLMRequest?
        /// Is answered with some text and then nothing more, ever.
        public var hang: LLMRequest
        /// Is answered with some text, and then the stream is cut.
        public var cut: LLMRequest
        /// Fail before the first content, each with its code.
        public var failures: [(request: LLMRequest, code: LLMError.Code)]
        /// Waits until the calls that were given up have let go of what they held: connections, slots.
        public var isReleased: @Sendable () async -> Void

        /// Creates the situations.
        public init(
            answer: LLMRequest, toolCalls: LLMRequest?, hang: LLMRequest, cut: LLMRequest,
            failures: [(request: LLMRequest, code: LLMError.Code)],
            isReleased: @escaping @Sendable () async -> Void = {}
        ) {
            self.answer = answer
            self.toolCalls = toolCalls
            self.hang = hang
            self.cut = cut
            self.failures = failures
            self.isReleased = isReleased
        }
    }

    private let provider: any LLMProvider
    private let situations: Situations

    /// Prepares the checks.
    public init(_ provider: any LLMProvider, _ situations: Situations) {
        self.provider = provider
        self.situations = situations
    }

    /// Runs all checks. - Returns: one sentence for each that failed.
    public func findings() async -> [String] {
        var findings = Findings()
        await checkAnswer(&findings)
        await checkToolCalls(&findings)
        await checkCut(&findings)
        for (request, code) in situations.failures { await checkFailure(request, code, &findings) }
        await checkCancelling(&findings)
        await checkDropping(&findings)
        await checkDeadline(&findings)
        return findings.sentences
    }

    // MARK: Checks

    private func checkAnswer(_ findings: inout Findings) async {
        let (events, error) = await Self.consume(provider.stream(situations.answer))
        findings.expect(error == nil, "an answer does not fail, but: \(error.map(\.description) ?? "")")
        Self.checkOrder(events, isComplete: true, &findings)
        let deltas = events.compactMap { event -> String? in if case .textDelta(let text) = event.kind { text } else { nil } }
        findings.expect(!deltas.joined().isEmpty, "an answer has text")
        if case .start(let start)? = events.first?.kind {
            findings.expect(start.provider == provider.name, "the start names the provider")
            findings.expect(!start.model.isEmpty, "the start names the model")
        }
        if case .finish(let reason, let usage)? = events.last?.kind {
            findings.expect(reason.unified == .stop, "a whole answer ends with stop, not \(reason)")
            findings.expect(usage.input.total != nil && usage.output.total != nil, "the end tells the usage, if only estimated")
        }
        do throws(LLMError) {
            let response = try await provider.generate(situations.answer)
            findings.expect(response.text == deltas.joined(), "generating gives the text that streaming gives")
        } catch {
            findings.expect(false, "generating works where streaming does, but: \(error)")
        }
    }

    private func checkToolCalls(_ findings: inout Findings) async {
        guard let request = situations.toolCalls else { return }
        let (events, error) = await Self.consume(provider.stream(request))
        findings.expect(error == nil, "tool calls do not fail, but: \(error.map(\.description) ?? "")")
        Self.checkOrder(events, isComplete: true, &findings)
        var ended: Set<Int> = []
        var begun = 0
        for event in events {
            switch event.kind {
            case .toolCallStart(let index, let id, let name):
                findings.expect(index == begun, "tool calls are numbered in the order in which they begin")
                findings.expect(!id.isEmpty && !name.isEmpty, "a tool call has an id and a name")
                begun += 1
            case .toolCallDelta(let index, _):
                findings.expect((0..<begun).contains(index) && !ended.contains(index), "a tool call grows between its start and its end")
            case .toolCallEnd(let index):
                findings.expect((0..<begun).contains(index) && ended.insert(index).inserted, "a tool call ends once, after its start")
            case .start, .usage, .textDelta, .reasoningDelta, .opaque, .finish, .error: break
            }
        }
        findings.expect(begun >= 2 && ended.count == begun, "all of several tool calls begin and end")
        guard let response = try? await provider.generate(request) else { return findings.expect(false, "tool calls can be generated") }
        findings.expect(response.finishReason.unified == .toolCalls, "an answer that calls tools ends with toolCalls")
        findings.expect(Set(response.toolCalls.map(\.id)).count == begun, "tool calls have different ids")
        findings.expect(response.toolCalls.allSatisfy { (try? $0.parsedArguments())?.object != nil }, "arguments are JSON objects")
    }

    private func checkCut(_ findings: inout Findings) async {
        let (events, error) = await Self.consume(provider.stream(situations.cut))
        Self.checkOrder(events, isComplete: false, &findings)
        findings.expect(
            error?.code == .truncatedStream, "an answer that is cut is truncatedStream, not \(error.map(\.description) ?? "complete")")
        findings.expect(error?.deliveredBytes ?? 0 > 0, "a failure tells how much came before it")
    }

    private func checkFailure(_ request: LLMRequest, _ code: LLMError.Code, _ findings: inout Findings) async {
        let (events, error) = await Self.consume(provider.stream(request))
        findings.expect(error?.code == code, "expected \(code), not \(error.map(\.description) ?? "an answer")")
        findings.expect(!events.contains(where: \.kind.isContent), "a call that fails first delivers nothing (\(code))")
        findings.expect(error?.deliveredBytes == 0, "a call that fails first has delivered nothing (\(code))")
    }

    private func checkCancelling(_ findings: inout Findings) async {
        let stream = provider.stream(situations.hang)
        let (seen, signal) = AsyncStream.makeStream(of: Void.self)
        let error = await withTaskGroup(of: LLMError?.self) { group in
            group.addTask {
                defer { signal.finish() }
                do throws(LLMError) {
                    for try await event in stream where event.kind.isContent { signal.yield() }
                    return nil
                } catch {
                    return error
                }
            }
            for await _ in seen { break }
            group.cancelAll()
            return await group.next() ?? nil
        }
        findings.expect(error?.code == .cancelled, "a cancelled call ends with cancelled, not \(error.map(\.description) ?? "an end")")
        await situations.isReleased()
    }

    private func checkDropping(_ findings: inout Findings) async {
        do throws(LLMError) {
            for try await event in provider.stream(situations.hang) where event.kind.isContent { break }
        } catch {
            findings.expect(false, "a hanging answer begins, but: \(error)")
        }
        await situations.isReleased()
    }

    private func checkDeadline(_ findings: inout Findings) async {
        var request = situations.answer
        request.execution.timeout = .zero
        let (_, error) = await Self.consume(provider.stream(request))
        findings.expect(
            error == nil || error?.code == .deadlineExceeded,
            "a call without time left ends with deadlineExceeded, not \(error.map(\.description) ?? "")")
    }

    // MARK: Watching

    private static func consume(_ stream: LLMEventStream) async -> (events: [LLMStreamEvent], error: LLMError?) {
        var events: [LLMStreamEvent] = []
        do throws(LLMError) {
            for try await event in stream { events.append(event) }
            return (events, nil)
        } catch {
            return (events, error)
        }
    }

    private static func checkOrder(_ events: [LLMStreamEvent], isComplete: Bool, _ findings: inout Findings) {
        findings.expect(events.map(\.sequence) == Array(events.indices), "events are numbered without a gap")
        let starts = events.filter { if case .start = $0.kind { true } else { false } }
        findings.expect(starts.count == 1 && events.first == starts.first, "an answer starts once, first")
        let terminals = events.filter(\.kind.isTerminal)
        findings.expect(terminals.count == (isComplete ? 1 : 0), "an answer has exactly one terminal")
        findings.expect(!isComplete || events.last?.kind.isTerminal == true, "nothing follows the terminal")
    }

    private struct Findings {
        var sentences: [String] = []

        mutating func expect(_ holds: Bool, _ sentence: @autoclosure () -> String) {
            if !holds { sentences.append(sentence()) }
        }
    }
}
