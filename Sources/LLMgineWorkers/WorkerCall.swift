import LLMgineBus
import LLMgineCore
import LLMgineLLM
import LLMgineObservability
import NIOCore

/// One call of a client: goes from worker to worker until one has begun to answer. Used by one task at a time.
final class WorkerCall {
    private let request: LLMRequest
    private let bus: MessageBus
    private let configuration: LLMClient.Configuration
    private let deadline: ContinuousClock.Instant
    private var span: ClientSpan
    private var payload: ByteBuffer?
    private var attempts = 0
    private var failed: Set<NodeID> = []
    private var failure: LLMError?
    private var prelude = StreamPrelude()
    private var replies: Replies?

    /// The answer of one worker.
    private struct Replies {
        let stream: ReplyStream
        var iterator: ReplyStream.Iterator
        var sequence = 0
    }

    init(_ request: LLMRequest, bus: MessageBus, configuration: LLMClient.Configuration) {
        self.request = request
        self.bus = bus
        self.configuration = configuration
        self.deadline = .now + (request.execution.timeout ?? configuration.timeout)
        self.span = ClientSpan(request, observability: bus.observability)
    }

    deinit { span.ended(LLMError(.cancelled, "the caller stopped reading")) }

    /// What the workers have next for the caller.
    func pull() async throws(LLMError) -> [LLMStreamEvent.Kind]? {
        while true {
            do throws(LLMError) {
                let kinds = try await receive()
                span.saw(kinds)
                let ready = prelude.admit(kinds)
                if !ready.isEmpty { return ready }
            } catch {
                try moveOn(after: error)
            }
        }
    }

    /// Leaves a worker that failed behind. - Throws: the failure that ends the call, when it is final.
    private func moveOn(after error: LLMError) throws(LLMError) {
        let worker = replies?.stream.responder
        replies = nil  // cancels what may still run there
        prelude.discard()
        if let worker, error.retryable, !prelude.isOver, configuration.maximumAttempts > attempts, deadline > .now {
            failed.insert(worker)
            failure = error
            return
        }
        // Having run out of workers says less than why the last one failed.
        let final = error.code == .noWorkerAvailable ? failure ?? error : error
        span.ended(final)
        throw final
    }

    private func receive() async throws(LLMError) -> [LLMStreamEvent.Kind] {
        if replies == nil { replies = try await dispatch() }
        do {
            guard let reply = try await replies?.iterator.next() else {
                throw LLMError(.truncatedStream, "the worker's answer stopped without its end")
            }
            return try admit(reply)
        } catch let error as LLMError {
            throw error
        } catch {
            throw LLMError(bus: error as? LLMgineError, isCancelled: Task.isCancelled)
        }
    }

    private func dispatch() async throws(LLMError) -> Replies {
        attempts += 1
        let name = try LLMModelName(request.model)
        let left = deadline - .now
        guard left > .zero else { throw LLMError(.deadlineExceeded, "the call took longer than it may") }
        let message = Message(
            topic: name.topic, payload: encodedRequest(), eventType: LLMRequest.commandType, priority: request.execution.priority,
            trace: span.begin(provider: name.provider))
        do {
            let options = RequestOptions(deadline: left, replyWindow: configuration.replyWindow, excluding: failed)
            let stream = try await bus.request(message, options: options)
            return Replies(stream: stream, iterator: stream.makeAsyncIterator())
        } catch {
            throw LLMError(bus: error, isCancelled: Task.isCancelled)
        }
    }

    private func encodedRequest() -> ByteBuffer {
        if let payload { return payload }
        var buffer = ByteBuffer()
        request.json.write(into: &buffer)
        payload = buffer
        return buffer
    }

    /// Reads a reply, in which no event may be missing. The error that it may end with is thrown once what came before it is delivered.
    private func admit(_ reply: Message) throws(LLMError) -> [LLMStreamEvent.Kind] {
        let events: [LLMStreamEvent]
        do {
            events = try LLMEventBatch(decoding: reply.payload).events
        } catch {
            throw LLMError(.protocolViolation, "the worker's answer cannot be read", retryable: true)
        }
        for event in events {
            guard event.sequence == replies?.sequence else {
                throw LLMError(.protocolViolation, "an event of the worker's answer is missing", retryable: true)
            }
            replies?.sequence += 1
        }
        let kinds = events.map(\.kind)
        if case .error(let error)? = kinds.last {
            let isOwn = error.code == .cancelled && !Task.isCancelled
            let failure = isOwn ? LLMError(.workerLost, "the worker gave the call up", provider: error.provider) : error
            guard kinds.contains(where: \.isContent) else { throw failure }
            span.ended(failure)
            return kinds.dropLast() + [.error(failure)]
        }
        return kinds
    }
}

extension LLMError {
    /// What the bus says of a request, in the words of calls.
    init(bus error: LLMgineError?, isCancelled: Bool) {
        let detail = error?.detail ?? "the request failed"
        self =
            switch error?.code {
            case _ where isCancelled: LLMError(.cancelled, "the caller gave up")
            case .noResponders, .noCapacity: LLMError(.noWorkerAvailable, detail)
            case .deadlineExceeded: LLMError(.deadlineExceeded, detail)
            // Our own cancel is told apart above: this one is the worker's.
            case .cancelled, .peerLost, .workerLost, .connectionClosed: LLMError(.workerLost, detail)
            case .stopped: LLMError(.workerLost, detail)
            case .limitExceeded, .invalidArgument: LLMError(.invalidRequest, detail)
            case .badPayload: LLMError(.protocolViolation, detail)
            case _: LLMError(.providerInternal, detail)
            }
    }
}
