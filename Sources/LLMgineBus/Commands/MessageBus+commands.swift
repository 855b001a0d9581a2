public import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

import struct NIOCore.ByteBuffer

extension MessageBus {
    /// Has commands of the type executed by this handler, wherever in the cluster they are asked for. What it returns is the value of the result.
    ///
    /// Commands of this node are called directly, any number at a time; those of other nodes at most `concurrency` at a time.
    /// - Throws: `duplicateHandler` if this node has one for the type, `stopped`; unless `isRemote` is false, `invalidArgument` for a concurrency that is
    ///   not positive and `permissionDenied` if a topic permission of the node does not allow it the commands of other nodes.
    @discardableResult
    public func registerCommandHandler<C: Command, Value: Codable & Sendable>(
        _ type: C.Type, options: ResponderOptions = ResponderOptions(),
        handler: @escaping @Sendable (C, CommandContext) async throws -> Value
    ) async throws(LLMgineError) -> CommandRegistration {
        try await register(CommandRegistration(type, bus: self) { try await handler($0, $1) }, type, options)
    }

    /// The same for a handler that returns nothing.
    @discardableResult
    public func registerCommandHandler<C: Command>(
        _ type: C.Type, options: ResponderOptions = ResponderOptions(),
        handler: @escaping @Sendable (C, CommandContext) async throws -> Void
    ) async throws(LLMgineError) -> CommandRegistration {
        try await register(
            CommandRegistration(type, bus: self) {
                try await handler($0, $1)
                return nil
            }, type, options)
    }

    private func register<C: Command>(_ registration: CommandRegistration, _ type: C.Type, _ options: ResponderOptions)
        async throws(LLMgineError) -> CommandRegistration
    {
        try checkRunning()
        let isFirst = registry.withLock { registry in
            guard registry.commandHandlers[C.commandType] == nil else { return false }
            registry.commandHandlers[C.commandType] = registration
            observeBreaker(ofCommand: C.commandType)
            return true
        }
        guard isFirst else { throw LLMgineError(.duplicateHandler, "there is a handler for \(C.commandType) already") }
        do throws(LLMgineError) {
            try checkRunning()  // a stop that came in between has forgotten the others and not this one
            guard options.isRemote else { return registration }
            let responder = try await respond(to: [TopicFilter(C.topic)], options: options) {
                [weak registration, weak self] message, context, writer in
                guard let self, let registration else { throw LLMgineError(.stopped, "the handler of \(C.commandType) is gone") }
                try await writer.finish(with: try await self.answer(message, as: type, context, by: registration))
            }
            registry.withLock { registry in
                if registry.commandHandlers[C.commandType] === registration { registry.commandResponders[C.commandType] = responder }
            }
        } catch {
            registry.withLock { registry in
                registry.commandHandlers[C.commandType] = nil
                forgetBreaker(ofCommand: C.commandType)
            }
            throw error
        }
        return registration
    }

    func remove(_ registration: CommandRegistration) async {
        if registration.session != .bus { return sessions.remove(registration) }
        let responder = registry.withLock { registry -> Responder? in
            guard registry.commandHandlers[registration.commandType] === registration else { return nil }
            registry.commandHandlers[registration.commandType] = nil
            forgetBreaker(ofCommand: registration.commandType)
            return registry.commandResponders.removeValue(forKey: registration.commandType)
        }
        await responder?.cancel()
    }

    /// The bus has stopped. Its handlers refer to it, so that it would never be freed.
    func forgetCommandHandlers() {
        // Responders and handlers are let go outside the lock: what they hold is not ours.
        let (handlers, _) = registry.withLock { registry in
            defer {
                registry.commandHandlers = [:]
                registry.commandResponders = [:]
            }
            return (registry.commandHandlers, registry.commandResponders)
        }
        for type in handlers.keys { forgetBreaker(ofCommand: type) }
    }

    /// Has the command executed by its handler, here or on another node, and says how it went.
    ///
    /// The handler of the command's session is asked first, then that of this node; without one, a node that has one. A failure that may go away is tried again by the retry policy
    /// until the deadline; a command that nobody handles is not. When the deadline passes or the calling task is cancelled, the handler's task is
    /// cancelled and the result is there at once.
    /// - Returns: always a result with the command's own id; a failed one has its error, with the code `noHandler`, `deadlineExceeded`,
    ///   `cancelled`, `circuitOpen`, `stopped`, one of those of a request, or that of the handler.
    public func execute<C: Command>(_ command: C, options: CommandOptions = CommandOptions()) async -> CommandResult {
        await CommandRun(command, number: nextCommand.add(1, ordering: .relaxed).newValue, options: options, bus: self).execute()
    }

    func commandID(_ number: UInt64) -> CommandID { CommandID("\(identity.node)/\(identity.incarnation)/c\(number)") }

    /// The handler on this node for a command of the session.
    func commandHandler(_ type: any Command.Type, in session: SessionID) -> CommandRegistration? {
        guard let handler = commandHandler(type.commandType, in: session) else { return nil }
        return handler.commandID == ObjectIdentifier(type) ? handler : nil
    }

    /// The same by the wire name of the type.
    func commandHandler(_ type: String, in session: SessionID) -> CommandRegistration? {
        let scoped = session == .bus ? nil : sessions.handler(of: type, in: session)
        return scoped ?? registry.withLock { $0.commandHandlers[type] }
    }

    /// Executes a command of another node, once: it is for that node to try again.
    private func answer<C: Command>(
        _ message: Message, as type: C.Type, _ context: RequestContext, by registration: CommandRegistration
    ) async throws -> ByteBuffer {
        var headers = message.headers
        let id = CommandID(headers[CommandHeaders.id] ?? "")
        let attempt = headers[CommandHeaders.attempt].flatMap { Int($0) } ?? 1
        headers[CommandHeaders.id] = nil
        headers[CommandHeaders.attempt] = nil
        let call = CommandContext(
            id: id, attempt: max(1, attempt), deadline: context.deadline, session: context.session, requester: context.requester,
            headers: headers,
            trace: context.trace)
        let result: CommandResult
        do {
            let command: C
            do { command = try C(decoding: message.payload) } catch {
                throw LLMgineError(.badPayload, "the payload is not a \(C.commandType)", cause: error)
            }
            let handler = commandHandler(type, in: call.session) ?? registration
            let value = try await handler.execute(command, call)
            result = CommandResult(success: id, value: value, attempts: call.attempt, session: call.session)
        } catch {
            result = CommandResult(
                failure: id, LLMgineError(command: error), attempts: call.attempt, isRetryable: RetryDecision.isRetryable(error),
                session: call.session)
        }
        var payload = ByteBuffer()
        try result.encode(into: &payload)
        return payload
    }
}

extension CommandRegistration {
    /// One call, through the breaker and into the metrics. - Throws: `circuitOpen`, what the handler throws.
    /// - Parameter held: how somebody else may say to the breaker how the call went, before the handler ends.
    func execute(
        _ command: any Command, _ context: CommandContext, calls: HandlerCalls = HandlerCalls(), held: HeldPermit = HeldPermit()
    ) async throws -> CommandValue {
        let (permit, retryAfter) = breaker.admit()
        if let retryAfter {
            throw LLMgineError(.circuitOpen, "the handler of \(commandType) keeps failing; it is tried again in \(retryAfter)")
        }
        held.hold(permit)
        let start = SystemClock.monotonicNanoseconds()
        defer { meters.duration.record(nanoseconds: SystemClock.monotonicNanoseconds() &- start) }
        do {
            let value = try await invoke(command, context, calls)
            breaker.succeeded(held.take())
            return value
        } catch {
            breaker.failed(held.take(), blame: RetryDecision.isRetryable(error) && !Task.isCancelled)
            throw error
        }
    }
}

extension LLMgineError {
    /// What a result says of an error that a command handler threw.
    init(command error: any Error) {
        if let error = error as? LLMgineError {
            self = error
        } else if error is CancellationError {
            self.init(.cancelled, "the command was cancelled", cause: error)
        } else {
            self.init(.handlerFailed, "the handler threw \(type(of: error))", cause: error)
        }
    }
}
