import LLMgineCore
import LLMgineObservability
import Synchronization

/// The middleware of a bus. While there is none, asking costs one relaxed load.
final class MiddlewareChain: Sendable {
    struct Scope: OptionSet {
        let rawValue: UInt8
        static let commands = Scope(rawValue: 1)
        static let events = Scope(rawValue: 2)
    }

    private struct Entry {
        let id: UInt64
        let middleware: any HandlerMiddleware
        let scope: Scope
    }

    private struct State {
        var entries: [Entry] = []
        var commands: [any HandlerMiddleware] = []
        var events: [any HandlerMiddleware] = []
        var next: UInt64 = 0
    }

    private let state = Mutex(State())
    private let hasCommands = Atomic<Bool>(false)
    private let hasEvents = Atomic<Bool>(false)

    /// Whether anything stands around the handlers of events.
    @inline(__always) var wrapsEvents: Bool { hasEvents.load(ordering: .relaxed) }
    var wrapsCommands: Bool { hasCommands.load(ordering: .relaxed) }

    func add(_ middleware: any HandlerMiddleware, for scope: Scope) -> UInt64 {
        change { state in
            state.next += 1
            state.entries.append(Entry(id: state.next, middleware: middleware, scope: scope))
            return state.next
        }
    }

    func remove(_ id: UInt64) { change { state in state.entries.removeAll { $0.id == id } } }

    private func change<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        state.withLock { state in
            let result = body(&state)
            state.commands = state.entries.filter { $0.scope.contains(.commands) }.map(\.middleware)
            state.events = state.entries.filter { $0.scope.contains(.events) }.map(\.middleware)
            hasCommands.store(!state.commands.isEmpty, ordering: .relaxed)
            hasEvents.store(!state.events.isEmpty, ordering: .relaxed)
            return result
        }
    }

    func process(_ call: EventCall, handler: @Sendable () async throws -> Void) async throws {
        try await MiddlewareChain.process(call, state.withLock { $0.events }[...], handler)
    }

    func process(_ call: CommandCall, handler: @Sendable () async throws -> CommandValue) async throws -> CommandValue {
        try await MiddlewareChain.process(call, state.withLock { $0.commands }[...], handler)
    }

    private static func process(
        _ call: EventCall, _ chain: ArraySlice<any HandlerMiddleware>, _ handler: @Sendable () async throws -> Void
    ) async throws {
        guard let first = chain.first else { return try await handler() }
        try await first.processEvent(call) { try await process(call, chain.dropFirst(), handler) }
    }

    private static func process(
        _ call: CommandCall, _ chain: ArraySlice<any HandlerMiddleware>, _ handler: @Sendable () async throws -> CommandValue
    ) async throws -> CommandValue {
        guard let first = chain.first else { return try await handler() }
        return try await first.processCommand(call) { try await process(call, chain.dropFirst(), handler) }
    }
}

/// How often the handler was called within one pass through the middleware, and whether it was the handler that failed.
final class HandlerCalls: Sendable {
    private let count = Atomic<Int>(0)
    private let failed = Atomic<Bool>(false)

    /// Another call begins. - Returns: how many there were before.
    func begin() -> Int {
        failed.store(false, ordering: .relaxed)
        return count.add(1, ordering: .relaxed).oldValue
    }

    func fail() { failed.store(true, ordering: .relaxed) }

    /// Calls after the first.
    var further: Int { max(0, count.load(ordering: .relaxed) - 1) }
    var handlerFailed: Bool { failed.load(ordering: .relaxed) }
}

extension Subscriber {
    /// Calls the handler, through the middleware if there is some.
    func invoke(_ value: Value, _ context: EventContext) async throws {
        guard services.middleware.wrapsEvents, keepsTrying else { return try await handler(value, context) }
        let calls = HandlerCalls()
        let call = EventCall(
            event: value, eventType: (value as? Message)?.eventType ?? form.name(of: value), handler: name, context: context)
        do {
            try await services.middleware.process(call) { [handler] in
                let before = calls.begin()
                do { try await handler(value, EventContext(context, attempt: context.attempt + before)) } catch {
                    calls.fail()
                    throw error
                }
            }
        } catch {
            if !calls.handlerFailed { services.noteMiddleware(error, around: name, session: context.session, topic: context.topic) }
            throw error
        }
    }
}

extension CommandRegistration {
    /// Calls the handler, through the middleware if there is some.
    func invoke(_ command: any Command, _ context: CommandContext, _ calls: HandlerCalls) async throws -> CommandValue {
        guard services.middleware.wrapsCommands else { return try await call(command, context) }
        do {
            return try await services.middleware.process(CommandCall(command: command, commandType: commandType, context: context)) {
                [call] in
                let before = calls.begin()
                do { return try await call(command, context.with(attempt: context.attempt + before)) } catch {
                    calls.fail()
                    throw error
                }
            }
        } catch {
            if !calls.handlerFailed { services.noteMiddleware(error, around: commandType, session: context.session, topic: nil) }
            throw error
        }
    }
}

extension DeliveryServices {
    /// Tells observers that middleware threw, and not the handler.
    fileprivate func noteMiddleware(_ error: any Error, around handler: String, session: SessionID, topic: Topic?) {
        observability.observe(
            ObservedEvent(
                eventID: "middleware/\(handler)", eventType: "MiddlewareFailed", timestamp: tracer.clock.now(), session: session,
                topic: topic,
                metadata: [.init("handler", handler), .init("error", String(describing: type(of: error)))]))
    }
}

extension MessageBus {
    /// Puts middleware around the handlers of commands and of events on this node, inside of what was added before. Handlers that are there already get
    /// it with their next call.
    /// - Returns: what takes it away again.
    @discardableResult
    public func addMiddleware(_ middleware: some HandlerMiddleware) -> BusRegistration { add(middleware, for: [.commands, .events]) }

    /// The same around the handlers of commands only.
    @discardableResult
    public func addCommandMiddleware(_ middleware: some HandlerMiddleware) -> BusRegistration { add(middleware, for: .commands) }

    /// The same around the handlers of events only.
    @discardableResult
    public func addEventMiddleware(_ middleware: some HandlerMiddleware) -> BusRegistration { add(middleware, for: .events) }

    private func add(_ middleware: some HandlerMiddleware, for scope: MiddlewareChain.Scope) -> BusRegistration {
        let chain = services.middleware
        let id = chain.add(middleware, for: scope)
        return BusRegistration { chain.remove(id) }
    }
}
