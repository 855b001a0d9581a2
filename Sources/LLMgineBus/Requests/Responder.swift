public import LLMgineCore
import LLMgineObservability
import Synchronization

import struct NIOCore.ByteBuffer

/// A place that answers requests. It lasts until ``cancel()`` or until the bus stops.
public final class Responder: Sendable {
    /// What logs and errors call it.
    public let name: String
    /// Which topics it answers.
    public let filters: [TopicFilter]
    package let id: UInt32
    package let options: ResponderOptions
    private let bus: MessageBus
    private let handler: @Sendable (Message, RequestContext, ReplyWriter) async throws -> Void
    private let state = Mutex(State())

    private struct State {
        var running: [UInt64: Running] = [:]
        var waiting: [Arrival] = []
        var next: UInt64 = 0
        var isCancelled = false
    }

    private struct Running {
        let call: any IncomingCall
        let completion = Completion()
        var task: Task<Void, Never>?
        /// The task's mark, so that a handler that cancels its own responder does not wait for itself.
        var mark = CurrentTask.none
    }

    private struct Arrival {
        let message: Message
        let context: RequestContext
        let call: any IncomingCall
    }

    init(
        id: UInt32, filters: [TopicFilter], options: ResponderOptions, bus: MessageBus,
        handler: @escaping @Sendable (Message, RequestContext, ReplyWriter) async throws -> Void
    ) {
        self.id = id
        self.filters = filters
        self.options = options
        self.name = options.name ?? filters.map(\.text).joined(separator: ",")
        self.bus = bus
        self.handler = handler
    }

    /// Takes no more requests; those that run are cancelled and answered as `cancelled`. Waits for their handlers to return, but for the one
    /// that calls this.
    public func cancel() async {
        stopTaking()
        let own = CurrentTask.mark
        let others = state.withLock { state in state.running.values.filter { $0.mark != own }.map(\.completion) }
        for completion in others { await completion.wait() }
    }

    /// The same, waiting no longer than this.
    func cancel(by end: ContinuousClock.Instant) async {
        stopTaking()
        _ = await drained(until: end)
    }

    private func stopTaking() {
        bus.desk.remove(self)
        if options.isRemote { bus.cluster?.stoppedResponding(self) }
        let (tasks, waiting) = state.withLock { state in
            state.isCancelled = true
            let waiting = state.waiting
            state.waiting = []
            return (state.running.values.compactMap(\.task), waiting)
        }
        for arrival in waiting { arrival.call.finish(LLMgineError(.stopped, "the responder \(name) has stopped")) }
        for task in tasks { task.cancel() }
    }

    /// Waits until nothing runs. False at the deadline, when what runs is cancelled.
    func drained(until end: ContinuousClock.Instant) async -> Bool {
        let own = CurrentTask.mark
        while let completion = state.withLock({ $0.running.values.first { $0.mark != own }?.completion }) {
            guard await !completion.wait(until: end, on: bus.timers) else { continue }
            for task in state.withLock({ $0.running.values.compactMap(\.task) }) { task.cancel() }
            return false
        }
        return true
    }

    /// Runs the handler now, or as soon as one of the slots is free. Requesters hold credit for as many as there are slots, each of them,
    /// so what waits is bounded.
    func serve(_ message: Message, _ context: RequestContext, _ call: any IncomingCall) {
        let number: UInt64? = state.withLock { state in
            guard !state.isCancelled else { return 0 }
            guard state.running.count < options.concurrency else {
                state.waiting.append(Arrival(message: message, context: context, call: call))
                return nil
            }
            state.next += 1
            state.running[state.next] = Running(call: call, task: nil)
            return state.next
        }
        guard let number else { return }
        guard number > 0 else { return call.finish(LLMgineError(.stopped, "the responder \(name) has stopped")) }
        run(number, message, context, call)
    }

    private func run(_ number: UInt64, _ message: Message, _ context: RequestContext, _ call: any IncomingCall) {
        // Unstructured because a request outlives the frame that brought it; `finished` forgets it, `cancel` ends it.
        let task = Task(executorPreference: options.runsOnLink ? call.executor : nil) { [self] in
            state.withLock { $0.running[number]?.mark = CurrentTask.mark }
            if ContinuousClock.now >= context.deadline {
                call.finish(LLMgineError(.deadlineExceeded, "the deadline passed before the responder had a free slot"))
            } else {
                do {
                    try await answer(message, context, call)
                    call.finish(nil)
                } catch let error as LLMgineError {
                    call.finish(error)
                } catch is CancellationError {
                    call.finish(LLMgineError(.cancelled, "the responder was cancelled"))
                } catch {
                    call.finish(LLMgineError(.remoteError, "the responder failed: \(type(of: error))", cause: error))
                }
            }
            finished(number)
        }
        let (isOver, isCancelled) = state.withLock { state in
            guard state.running[number] != nil else { return (true, false) }
            state.running[number]?.task = task
            return (false, state.isCancelled)
        }
        if isCancelled { task.cancel() }
        if !isOver { call.onCancel { task.cancel() } }
    }

    /// Calls the handler, as a span if the request is traced.
    private func answer(_ message: Message, _ context: RequestContext, _ call: any IncomingCall) async throws {
        let tracer = bus.observability.tracer
        guard let parent = context.trace, parent.isSampled, tracer.isEnabled else {
            return try await handler(message, context, ReplyWriter(call: call))
        }
        let span = OpenSpan(
            .respond, message.topic, context: tracer.child(of: parent), parent: parent, parentIsRemote: context.requester != bus.node,
            start: tracer.clock.now())
        let traced = RequestContext(requester: context.requester, deadline: context.deadline, session: context.session, trace: span.context)
        do {
            try await span.bound { try await handler(message, traced, ReplyWriter(call: call)) }
            span.end(on: tracer, notes: [.subscription(name), .peer(context.requester)])
        } catch {
            span.end(on: tracer, error: error, notes: [.subscription(name), .peer(context.requester)])
            throw error
        }
    }

    private func finished(_ number: UInt64) {
        let (completion, next): (Completion?, (UInt64, Arrival)?) = state.withLock { state in
            let completion = state.running.removeValue(forKey: number)?.completion
            guard !state.isCancelled, !state.waiting.isEmpty else { return (completion, nil) }
            state.next += 1
            let arrival = state.waiting.removeFirst()
            state.running[state.next] = Running(call: arrival.call, task: nil)
            return (completion, (state.next, arrival))
        }
        completion?.finish()
        if let (number, arrival) = next { run(number, arrival.message, arrival.context, arrival.call) }
    }
}

/// The responder's end of one request, whether it came from this process or over a link.
protocol IncomingCall: AnyObject, Sendable {
    /// Sends a reply, waiting for reply credit. - Throws: `cancelled`, `connectionClosed`.
    func send(_ payload: ByteBuffer, eventType: String?, isLast: Bool) async throws(LLMgineError)
    /// The handler is done: nil when it returned. Gives the slot back to the requester.
    func finish(_ error: LLMgineError?)
    /// Runs tasks where the request arrived; nil for requests of this process.
    var executor: (any TaskExecutor)? { get }
    /// What to do when the requester gives up; at once if it has.
    func onCancel(_ action: @escaping @Sendable () -> Void)
}
