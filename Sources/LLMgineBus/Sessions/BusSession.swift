public import LLMgineCore
import Synchronization

/// A scope on a bus: what is published and executed through it belongs to the session, its handlers see nothing else, and they vanish when
/// it ends. Handlers of the bus see it as well.
///
/// Sessions do not wait for each other: every subscription has a queue and a task of its own. What is slow is a subscription of the bus that handles the
/// events of all sessions one after another; let it treat them side by side with ``HandlerOrdering/session``.
///
/// A session lasts until ``end(error:within:)`` or until the bus stops. All calls may be made from any task; after the end they fail with `stopped`.
public final class BusSession: Sendable {
    /// The name.
    public let id: SessionID
    /// The bus that it is on.
    public let bus: MessageBus
    private let active = Atomic<Bool>(true)

    init(_ id: SessionID, on bus: MessageBus) {
        self.id = id
        self.bus = bus
    }

    /// Whether it has not ended.
    public var isActive: Bool { active.load(ordering: .acquiring) }

    // MARK: Events

    /// Calls the handler for the session's events of the type whose topic matches the filter.
    /// - Parameters:
    ///   - options: as for a subscription of the bus; its session is this one, and `isRemote` is what the next parameter says.
    ///   - isRemote: whether events of the session that other nodes publish come here too. Default false: a session is usually at home on one node,
    ///     and what it would tell the others about its handlers costs them more than it lives for.
    /// - Throws: as ``MessageBus/subscribe(_:options:_:)``; `stopped` once the session has ended.
    @discardableResult
    public func subscribe<E: Event>(
        _ filter: TopicFilter, options: SubscriptionOptions = SubscriptionOptions(), isRemote: Bool = false,
        handler: @escaping @Sendable (E, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try await add([filter], options, isRemote, .typed, handler)
    }

    /// The same for the type's own topic.
    @discardableResult
    public func subscribe<E: Event>(
        to type: E.Type, options: SubscriptionOptions = SubscriptionOptions(), isRemote: Bool = false,
        handler: @escaping @Sendable (E, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try await add([TopicFilter(E.topic)], options, isRemote, .typed, handler)
    }

    /// The same for messages with their bytes as they are. - Throws: `invalidArgument` as well, without a filter.
    @discardableResult
    public func subscribe(
        _ filters: TopicFilter..., options: SubscriptionOptions = SubscriptionOptions(), isRemote: Bool = false,
        handler: @escaping @Sendable (Message, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try await add(filters, options, isRemote, .raw, handler)
    }

    /// The same for all types of a family.
    @discardableResult
    public func subscribe<Member: Sendable>(
        to family: EventFamily<Member>, options: SubscriptionOptions = SubscriptionOptions(), isRemote: Bool = false,
        handler: @escaping @Sendable (Member, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try await add(family.filters, options, isRemote, family.form, handler)
    }

    private func add<Value: Sendable>(
        _ filters: [TopicFilter], _ options: SubscriptionOptions, _ isRemote: Bool, _ form: ValueForm<Value>,
        _ handler: @escaping @Sendable (Value, EventContext) async throws -> Void
    ) async throws(LLMgineError) -> Subscription {
        try checkActive()
        var options = options
        options.session = id
        options.isRemote = isRemote
        let subscription = try bus.add(filters, options: options, form: form, handler: handler)
        // The session may have ended in between, without knowing of this one.
        if !isActive {
            await subscription.cancel()
            try checkActive()
        }
        return subscription
    }

    /// Publishes an event in the session. - Throws: as ``MessageBus/publish(_:to:options:)``.
    /// - Parameter options: the session in it is replaced by this one.
    @discardableResult
    public func publish<E: Event>(
        _ event: E, to topic: Topic = E.topic, options: PublishOptions = PublishOptions(), until: PublishUntil = .queued
    ) async throws(LLMgineError) -> PublishReceipt {
        try checkActive()
        var options = options
        options.session = id
        return try await bus.publish(event, to: topic, options: options, until: until)
    }

    /// Publishes an event in the session, in the journal first if that is asked for.
    /// - Parameter options: the session in it is replaced by this one.
    /// - Throws: as ``MessageBus/publish(_:to:options:durability:)``; `stopped` once the session has ended.
    @discardableResult
    public func publish<E: Event>(
        _ event: E, to topic: Topic = E.topic, options: PublishOptions = PublishOptions(), durability: Durability
    ) async throws(LLMgineError) -> PublishReceipt {
        try checkActive()
        var options = options
        options.session = id
        return try await bus.publish(event, to: topic, options: options, durability: durability)
    }

    // MARK: Commands

    /// Has the session's commands of the type executed by this handler, in place of the bus's. It is called by callers on this node.
    /// - Throws: `duplicateHandler` if the session has one for the type, `stopped`.
    @discardableResult
    public func handle<C: Command, Value: Codable & Sendable>(
        _ type: C.Type, handler: @escaping @Sendable (C, CommandContext) async throws -> Value
    ) throws(LLMgineError) -> CommandRegistration {
        try add(CommandRegistration(type, session: id, bus: bus) { try await handler($0, $1) })
    }

    /// The same for a handler that returns nothing.
    @discardableResult
    public func handle<C: Command>(
        _ type: C.Type, handler: @escaping @Sendable (C, CommandContext) async throws -> Void
    ) throws(LLMgineError) -> CommandRegistration {
        try add(
            CommandRegistration(type, session: id, bus: bus) {
                try await handler($0, $1)
                return nil
            })
    }

    private func add(_ handler: CommandRegistration) throws(LLMgineError) -> CommandRegistration {
        try checkActive()
        try bus.checkRunning()
        try bus.sessions.add(handler)
        return handler
    }

    /// Has a command of the session executed: by the session's handler, without one by the bus's, without one by another node's.
    /// - Returns: always a result, as ``MessageBus/execute(_:options:)``; `stopped` after the end.
    public func execute<C: Command>(_ command: C, options: CommandOptions = CommandOptions()) async -> CommandResult {
        var options = options
        options.session = id
        do throws(LLMgineError) { try checkActive() } catch {
            return CommandResult(
                failure: bus.commandID(bus.nextCommand.add(1, ordering: .relaxed).newValue), error, attempts: 0, session: id)
        }
        return await bus.execute(command, options: options)
    }

    // MARK: The end

    /// Ends the session: tells everyone, its own handlers too, lets these finish what is queued, and removes them.
    ///
    /// What is still queued at the deadline goes to the dead letters. The second and later calls return at once. Within a handler of the session, its
    /// own subscription is not waited for.
    /// - Parameters:
    ///   - error: why it ends early, for ``SessionEndEvent/error``.
    ///   - deadline: how long handlers may take. Default 5 s.
    public func end(error: (any Error)? = nil, within deadline: Duration = .seconds(5)) async {
        guard active.exchange(false, ordering: .acquiringAndReleasing) else { return }
        await announceEnd(error.map { ($0 as? LLMgineError)?.description ?? String(describing: type(of: $0)) })
        bus.sessions.close(self)
        await bus.endSubscriptions(of: id, by: .now.advanced(bySaturating: deadline))
    }

    /// The bus stops, and ends what is queued itself.
    func endWithBus() async {
        guard active.exchange(false, ordering: .acquiringAndReleasing) else { return }
        await announceEnd("the bus stops")
        bus.sessions.close(self)
    }

    private func announceEnd(_ error: String?) async {
        // A bus that has stopped has nobody left to tell.
        _ = try? await bus.publish(SessionEndEvent(session: id, error: error), options: PublishOptions(session: id))
    }

    private func checkActive() throws(LLMgineError) {
        guard isActive else { throw LLMgineError(.stopped, "the session \(id) has ended") }
    }
}
