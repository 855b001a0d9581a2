import LLMgineBus
import LLMgineCore
import LLMgineLLM
import LLMgineObservability
import NIOCore

/// Runs the calls that reach a worker, one at a time each.
struct WorkerDesk: Sendable {
    /// The most text, in bytes, that one reply carries. Written as JSON it is at most six times as long, and so below the smallest common limit of a
    /// payload, 1 MiB.
    static let batchBytes = 64 << 10

    let node: NodeID
    let providers: [String: any LLMProvider]
    let observability: ObservabilityManager

    /// Runs one call and streams its answer, failures of the model included. A worker that stops answers with the error `workerLost`.
    func serve(_ message: Message, _ context: RequestContext, _ writer: ReplyWriter) async throws {
        var span = WorkerSpan(message, context, node: node, observability: observability)
        do throws(LLMError) {
            let request = try request(in: message, context)
            let provider = try provider(for: request)
            try await stream(provider.stream(request), to: writer, span: &span)
        } catch {
            span.ended(error)
            if error.code == .cancelled { throw LLMgineError(.workerLost, "the worker gave the call up") }
            try await send([.error(error)], to: writer, from: span.sent)
        }
    }

    private func request(in message: Message, _ context: RequestContext) throws(LLMError) -> LLMRequest {
        do {
            var request = try LLMRequest(decoding: message.payload)
            let left = context.deadline - .now
            request.execution.timeout = request.execution.timeout.map { min($0, left) } ?? left
            return request
        } catch {
            let detail = (error as? LLMgineError)?.detail ?? "unreadable"
            throw LLMError(.invalidRequest, "the request cannot be read: \(detail)")
        }
    }

    private func provider(for request: LLMRequest) throws(LLMError) -> any LLMProvider {
        let name = try LLMModelName(request.model)
        guard let provider = providers[name.provider], provider.offers(name.model) else {
            throw LLMError(.modelNotFound, "worker \(node) has no model \"\(request.model.printable)\"")
        }
        try provider.capabilities(of: name.model).check(request)
        return provider
    }

    /// Each reply carries what was ready at once. While the requester has no room for a reply, nothing more is asked of the provider.
    private func stream(_ answer: LLMEventStream, to writer: ReplyWriter, span: inout WorkerSpan) async throws(LLMError) {
        var iterator = answer.makeAsyncIterator()
        while let events = try await iterator.nextChunk() {
            for batch in events.map({ $0.kind.run(by: node) }).coalesced().batched(limit: Self.batchBytes) {
                span.saw(batch)
                if batch.last?.isTerminal == true { span.ended(nil) }
                do throws(LLMgineError) {
                    try await send(batch, to: writer, from: span.sent)
                } catch {
                    throw error.code == .limitExceeded
                        ? LLMError(.protocolViolation, "an event of the answer is larger than a message may be")
                        : LLMError(.cancelled, "the requester is gone")
                }
                span.sent += batch.count
            }
        }
    }

    private func send(_ kinds: [LLMStreamEvent.Kind], to writer: ReplyWriter, from sequence: Int) async throws(LLMgineError) {
        let events = kinds.enumerated().map { LLMStreamEvent(sequence: sequence + $0, kind: $1) }
        var payload = ByteBuffer()
        LLMEventBatch(events).json.write(into: &payload)
        if kinds.last?.isTerminal == true {
            try await writer.finish(with: payload, eventType: LLMEventBatch.eventType)
        } else {
            try await writer.send(payload, eventType: LLMEventBatch.eventType)
        }
    }
}

extension LLMEventBatch {
    /// The name on the wire of what replies carry.
    static let eventType = "LLMEventBatch"
}

extension LLMStreamEvent.Kind {
    /// The event with the worker's name, where it has a place for one.
    fileprivate func run(by node: NodeID) -> LLMStreamEvent.Kind {
        guard case .start(var start) = self else { return self }
        start.worker = node.name
        return .start(start)
    }
}
