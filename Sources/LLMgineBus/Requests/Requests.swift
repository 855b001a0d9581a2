public import LLMgineCore
import Synchronization

public import struct NIOCore.ByteBuffer

/// How one request is made.
public struct RequestOptions: Sendable {
    /// How long the whole exchange may take. Default 30 s.
    public var deadline: Duration
    /// Reply messages that may wait unread; the responder pauses beyond. Default 64.
    public var replyWindow: Int
    /// Nodes that must not get it, because they had it and failed.
    public var excluding: Set<NodeID>

    /// Options with the documented defaults.
    public init(deadline: Duration = .seconds(30), replyWindow: Int = 64, excluding: Set<NodeID> = []) {
        self.deadline = deadline
        self.replyWindow = replyWindow
        self.excluding = excluding
    }
}

/// How requests are answered.
public struct ResponderOptions: Sendable {
    /// What logs and errors call it. Default: its filters.
    public var name: String?
    /// Responders with the same purpose; informational, since each request goes to one responder anyway.
    public var group: String?
    /// Requests that may be handled at once: the credit that is given out. Default 64.
    public var concurrency: Int
    /// Whether other nodes may send requests here. Default true.
    public var isRemote: Bool
    /// Whether the handler of a request from another node runs on the thread that its link is read on, until it calls something that runs
    /// elsewhere. This saves the wake-up of a thread, 20 to 50 us of a round trip. Only for handlers that answer within microseconds: all
    /// links of that thread stand still meanwhile. Default false.
    public var runsOnLink: Bool

    /// Options with the documented defaults.
    public init(
        name: String? = nil, group: String? = nil, concurrency: Int = 64, isRemote: Bool = true, runsOnLink: Bool = false
    ) {
        self.runsOnLink = runsOnLink
        self.name = name
        self.group = group
        self.concurrency = concurrency
        self.isRemote = isRemote
    }
}

/// What a responder is told beside the request.
public struct RequestContext: Sendable {
    /// The node that asks.
    public let requester: NodeID
    /// When the requester stops waiting.
    public let deadline: ContinuousClock.Instant
    /// The session that the request belongs to.
    public let session: SessionID
    /// The span of this answer if it is recorded, else what the request brought along.
    public let trace: TraceContext?
}

/// The answer to a request: one message, or a stream of them. It throws exactly one of `noResponders`, `noCapacity`, `deadlineExceeded`,
/// `cancelled`, `peerLost` (the request may have been executed), `permissionDenied` (by a topic permission of the responder's node), `limitExceeded`
/// (the request is more than a link may carry), `stopped` or the responder's own error: an ``LLMgineError`` with its code, any other as `remoteError`.
public struct ReplyStream: AsyncSequence, Sendable {
    /// One reply.
    public typealias Element = Message

    let call: OutgoingCall

    /// The node that got the request, once one has.
    public var responder: NodeID? { call.responder }

    /// Reads the answer. One iterator at a time.
    public func makeAsyncIterator() -> Iterator { Iterator(call: call) }

    /// Reads one reply after another.
    public struct Iterator: AsyncIteratorProtocol {
        let call: OutgoingCall

        /// The next reply, nil after the last.
        public mutating func next() async throws(LLMgineError) -> Message? { try await call.next() }
        /// The next reply, nil after the last.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(LLMgineError) -> Message? { try await call.next() }
    }

    /// The first reply. - Throws: what the stream throws; `remoteError` when it ends without a reply.
    public func first() async throws(LLMgineError) -> Message {
        guard let message = try await call.next() else { throw LLMgineError(.remoteError, "the responder answered nothing") }
        return message
    }
}

/// Answers one request. The answer is complete when the handler returns.
public struct ReplyWriter: Sendable {
    let call: any IncomingCall

    /// Sends one reply; waits while the requester has no room for more.
    /// - Throws: `cancelled` when the requester has given up, `connectionClosed` when it is gone.
    public func send(_ payload: ByteBuffer, eventType: String? = nil) async throws(LLMgineError) {
        try await call.send(payload, eventType: eventType, isLast: false)
    }

    /// Sends the last reply. Nothing may be sent after it. - Throws: as `send`.
    public func finish(with payload: ByteBuffer, eventType: String? = nil) async throws(LLMgineError) {
        try await call.send(payload, eventType: eventType, isLast: true)
    }
}

extension MessageBus {
    /// Sends a request to one responder, here or on another node: one that has a free slot.
    ///
    /// Returns at once; what comes of it is in the stream. Cancelling the task that reads cancels the request at the responder.
    /// - Throws: `stopped`, `permissionDenied` if a topic permission of the node stands against it.
    public func request(_ message: Message, options: RequestOptions = RequestOptions()) async throws(LLMgineError) -> ReplyStream {
        try checkRequesting(on: message.topic)
        return try await relay(message, options: options)
    }

    /// The same for a request of a leaf, which has been judged by the leaf's rules.
    package func relay(_ message: Message, options: RequestOptions) async throws(LLMgineError) -> ReplyStream {
        try checkRunning()
        var options = options
        options.excluding.formUnion(barred(from: message.topic))
        return ReplyStream(call: desk.start(message, options: options))
    }

    /// Answers requests whose topic matches one of the filters with a stream of replies.
    ///
    /// A handler that throws ends the request for the requester: with the ``LLMgineError`` that it threw, or with `remoteError`. Its task is
    /// cancelled when the requester gives up.
    /// - Throws: `stopped`, `invalidArgument` without a filter or a positive concurrency, `permissionDenied`.
    @discardableResult
    public func respond(
        to filters: [TopicFilter], options: ResponderOptions = ResponderOptions(),
        handler: @escaping @Sendable (Message, RequestContext, ReplyWriter) async throws -> Void
    ) async throws(LLMgineError) -> Responder {
        try checkRunning()
        guard (1...16).contains(filters.count), options.concurrency > 0 else {
            throw LLMgineError(.invalidArgument, "a responder needs 1 to 16 filters and a positive concurrency")
        }
        try checkSubscribing(to: filters)
        let responder = Responder(
            id: nextSubscription.add(1, ordering: .relaxed).oldValue, filters: filters, options: options, bus: self, handler: handler)
        desk.add(responder)
        if options.isRemote { cluster?.responding(responder) }
        return responder
    }

    /// Answers requests with one reply each.
    @discardableResult
    public func respond(
        to filter: TopicFilter, options: ResponderOptions = ResponderOptions(),
        handler: @escaping @Sendable (Message, RequestContext) async throws -> ByteBuffer
    ) async throws(LLMgineError) -> Responder {
        try await respond(to: [filter], options: options) { message, context, writer in
            try await writer.finish(with: try await handler(message, context))
        }
    }
}
