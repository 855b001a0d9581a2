public import LLMgineCore
import Synchronization

extension MessageBus {
    /// How many sessions are open.
    public var sessionCount: Int { sessions.count }

    /// Opens a session and says so with a ``SessionStartEvent``. Whoever opens it ends it: see ``BusSession/end(error:within:)``.
    /// - Parameter id: its name, of 1 to 128 bytes. Default: one that no other session of any node has.
    /// - Throws: `invalidArgument` for a name that is not allowed, or that an open session of this bus has; `stopped`.
    public func createSession(_ id: SessionID? = nil) async throws(LLMgineError) -> BusSession {
        try checkRunning()
        if let id {
            guard id != .bus, (1...SessionID.maximumBytes).contains(id.name.utf8.count) else {
                throw LLMgineError(
                    .invalidArgument,
                    "session name \"\(id.name.printable)\": use 1 to \(SessionID.maximumBytes) bytes, and not \(SessionID.bus)")
            }
        }
        let session = try sessions.open { number in
            BusSession(id ?? SessionID("\(identity.node)/\(identity.incarnation)/s\(number)"), on: self)
        }
        do throws(LLMgineError) {
            try await publish(SessionStartEvent(session: session.id), options: PublishOptions(session: session.id))
        } catch {
            await session.end(error: error)
            throw error
        }
        return session
    }

    /// Runs the body with a session that ends with it, whether it returns or throws.
    ///
    /// ```swift
    /// try await bus.session("chat-7") { session in
    ///     try await session.subscribe(to: StatusEvent.self) { status, _ in print(status.text) }
    ///     let result = await session.execute(AskCommand(prompt: "hello"))
    /// }
    /// ```
    /// - Throws: as ``createSession(_:)``, and what the body throws, after the session has ended with this error.
    public func session<Result>(_ id: SessionID? = nil, _ body: (BusSession) async throws -> Result) async throws -> Result {
        let session = try await createSession(id)
        do {
            let result = try await body(session)
            await session.end()
            return result
        } catch {
            await session.end(error: error)
            throw error
        }
    }

    /// Lets the handlers of a session finish what is queued, and removes them.
    func endSubscriptions(of session: SessionID, by end: ContinuousClock.Instant) async {
        let subscribers = router.scopes.subscribers(of: session)
        guard !subscribers.isEmpty else { return }
        let subscriptions = registry.withLock { registry in subscribers.compactMap { registry.subscriptions[$0.id] } }
        for subscription in subscriptions { subscription.subscriber.mailbox.close() }
        for subscription in subscriptions {
            if subscription.isCalledByItself {
                // In a task of its own, because the handler that ends its session would wait for itself.
                Task { await subscription.finish(by: end) }
            } else {
                await subscription.finish(by: end)
            }
        }
    }

    /// Tells the handlers of open sessions that the bus stops, for as long as there is time.
    func endSessions(by end: ContinuousClock.Instant) async {
        let open = sessions.sessions
        guard !open.isEmpty else { return }
        // A task, so that it can be cancelled at the deadline: a full queue may hold the event back.
        let telling = Task { for session in open { await session.endWithBus() } }
        let timer = timers.schedule(at: end) { telling.cancel() }
        await telling.value
        timers.cancel(timer)
    }
}
