public import LLMgineCore
import LLMgineObservability
public import LLMgineResilience

import struct NIOCore.ByteBuffer

/// How a command is executed.
public struct CommandOptions: Sendable {
    /// How long all attempts together may take. Default 30 s.
    public var deadline: Duration
    /// How it is tried again when it fails in a way that may go away; nil for the bus's own policy, ``RetryPolicy/never`` for a single attempt.
    public var retry: RetryPolicy?
    /// The session that it belongs to. Default: none.
    public var session: SessionID
    /// What travels beside it. Default: nothing.
    public var headers: Headers
    /// The span that causes it. Default: the current one of the task.
    public var trace: TraceContext?

    /// Options with the documented defaults.
    public init(
        deadline: Duration = .seconds(30), retry: RetryPolicy? = nil, session: SessionID = .bus, headers: Headers = Headers(),
        trace: TraceContext? = nil
    ) {
        self.deadline = deadline
        self.retry = retry
        self.session = session
        self.headers = headers
        self.trace = trace
    }
}

/// What a command handler is told beside the command.
public struct CommandContext: Sendable {
    /// The identity of the execution, the same at every attempt: what to deduplicate side effects by.
    public let id: CommandID
    /// 1 for the first call, 2 for the first retry.
    public let attempt: Int
    /// When nobody waits for the result any more.
    public let deadline: ContinuousClock.Instant
    /// The session that the command belongs to.
    public let session: SessionID
    /// The node that asked for it.
    public let requester: NodeID
    /// What the caller sent along.
    public let headers: Headers
    /// The span of this call if it is recorded, else what the caller brought along.
    public let trace: TraceContext?

    func with(trace: TraceContext) -> CommandContext {
        CommandContext(id: id, attempt: attempt, deadline: deadline, session: session, requester: requester, headers: headers, trace: trace)
    }

    func with(attempt: Int) -> CommandContext {
        CommandContext(id: id, attempt: attempt, deadline: deadline, session: session, requester: requester, headers: headers, trace: trace)
    }
}

/// The one handler of a command type on this node, or in one session. It lasts until ``cancel()`` or until the bus stops.
public final class CommandRegistration: Sendable {
    /// The wire name of the command type.
    public let commandType: String
    /// The session whose commands it takes; the bus's own takes those of all.
    public let session: SessionID
    let commandID: ObjectIdentifier
    /// Calls the handler with a command of its own type.
    let call: @Sendable (any Command, CommandContext) async throws -> (any Codable & Sendable)?
    /// Reads a command of that type.
    let decode: @Sendable (ByteBuffer) throws -> any Command
    let breaker: HandlerBreaker
    let meters: HandlerMeters
    /// Counts the commands of the type that this node asks for, looked up once.
    let sent: MetricsRegistry.Counter
    var services: DeliveryServices { bus.services }
    private let bus: MessageBus

    init<C: Command>(
        _ type: C.Type, session: SessionID = .bus, bus: MessageBus,
        handler: @escaping @Sendable (C, CommandContext) async throws -> (any Codable & Sendable)?
    ) {
        commandType = C.commandType
        commandID = ObjectIdentifier(C.self)
        self.session = session
        call = { command, context in
            guard let command = command as? C else { throw LLMgineError(.badPayload, "the command is not a \(C.commandType)") }
            return try await handler(command, context)
        }
        decode = { try C(decoding: $0) }
        breaker = bus.services.breaker(for: C.topic.text)
        meters = HandlerMeters(commands: C.commandType, in: bus.services.metrics)
        sent = bus.services.sentCommands(of: C.commandType)
        self.bus = bus
    }

    /// Takes no more commands. Those of other nodes that run are cancelled; those of this node end with their callers.
    public func cancel() async { await bus.remove(self) }
}
