public import LLMgineCore
import struct NIOCore.ByteBuffer
import Synchronization

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
        var task: Task<Void, Never>?
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

    /// Takes no more requests; those that run are cancelled and answered as `cancelled`.
    public func cancel() async {
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
        for task in tasks { await task.value }
    }

    /// Waits until nothing runs. False at the deadline.
    func drained(until end: ContinuousClock.Instant) async -> Bool {
        while let task = state.withLock({ $0.running.values.compactMap(\.task).first }) {
            let timer = bus.timers.schedule(at: end) { task.cancel() }
            await task.value
            bus.timers.cancel(timer)
            if ContinuousClock.now >= end { return false }
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
        let task = Task {
            if ContinuousClock.now >= context.deadline {
                call.finish(LLMgineError(.deadlineExceeded, "the deadline passed before the responder had a free slot"))
            } else {
                do {
                    try await handler(message, context, ReplyWriter(call: call))
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
        let isOver = state.withLock { state in
            guard state.running[number] != nil else { return true }
            state.running[number]?.task = task
            return false
        }
        if !isOver { call.onCancel { task.cancel() } }
    }

    private func finished(_ number: UInt64) {
        let next: (UInt64, Arrival)? = state.withLock { state in
            state.running[number] = nil
            guard !state.isCancelled, !state.waiting.isEmpty else { return nil }
            state.next += 1
            let arrival = state.waiting.removeFirst()
            state.running[state.next] = Running(call: arrival.call, task: nil)
            return (state.next, arrival)
        }
        if let (number, arrival) = next { run(number, arrival.message, arrival.context, arrival.call) }
    }
}

/// The responder's end of one request, whether it came from this process or over a link.
protocol IncomingCall: AnyObject, Sendable {
    /// Sends a reply, waiting for reply credit. - Throws: `cancelled`, `connectionClosed`.
    func send(_ payload: ByteBuffer, eventType: String?, isLast: Bool) async throws(LLMgineError)
    /// The handler is done: nil when it returned. Gives the slot back to the requester.
    func finish(_ error: LLMgineError?)
    /// What to do when the requester gives up; at once if it has.
    func onCancel(_ action: @escaping @Sendable () -> Void)
}
