public import LLMgineCore
import LLMgineObservability

import struct NIOCore.ByteBuffer

/// What a handler of approvals says.
public struct ApprovalDecision: Sendable, Hashable {
    /// Whether it may be done.
    public var isApproval: Bool
    /// Who decided.
    public var by: String
    /// What they said about it.
    public var note: String

    /// It may be done.
    public static func approve(by: String = "", note: String = "") -> ApprovalDecision {
        ApprovalDecision(isApproval: true, by: by, note: note)
    }
    /// It must not be done.
    public static func deny(by: String = "", note: String = "") -> ApprovalDecision {
        ApprovalDecision(isApproval: false, by: by, note: note)
    }
}

extension MessageBus {
    /// Asks somebody to allow a command, and waits for what becomes of it. It does not execute the command.
    ///
    /// Everyone hears an ``ApprovalRequestEvent``; somebody decides with ``approve(_:by:note:)`` or ``deny(_:by:note:)``, on any node; or the
    /// time is over. Then everyone hears the outcome, and the event that the options name for it is published, before this returns. With a
    /// store all of that happens also if the process ends in between, at least once.
    /// - Throws: `cancelled` if the task is cancelled, which withdraws the approval; `badPayload` if command or events do not encode;
    ///   `limitExceeded`, `storageFailed`, `stopped`.
    public func requestApproval<C: Command>(
        of command: C, from approver: String, options: ApprovalOptions = ApprovalOptions()
    ) async throws(LLMgineError) -> ApprovalResult {
        let (approval, verdict) = try await ask(command, approver, options)
        return try await wait(for: verdict, of: approval.id)
    }

    /// The same with a way to decide of one's own, such as a question on a terminal. It is called once and decides by what it returns, unless
    /// somebody else or the clock is first: then its task is cancelled. One that throws denies.
    public func requestApproval<C: Command>(
        of command: C, from approver: String, options: ApprovalOptions = ApprovalOptions(),
        handler: @escaping @Sendable (C, Approval) async throws -> ApprovalDecision
    ) async throws(LLMgineError) -> ApprovalResult {
        let (approval, verdict) = try await ask(command, approver, options)
        approvals.run(approval.id, on: self) { try await handler(command, approval) }
        return try await wait(for: verdict, of: approval.id)
    }

    /// Asks without waiting: the outcome comes as events. - Throws: as ``requestApproval(of:from:options:)``.
    @discardableResult
    public func submitApproval<C: Command>(
        of command: C, from approver: String, options: ApprovalOptions = ApprovalOptions()
    ) async throws(LLMgineError) -> Approval { try await ask(command, approver, options).approval }

    /// Waits for the outcome of an approval that is pending on this node, such as one of an earlier life of the process.
    /// - Throws: `invalidArgument` if none of the name is pending; `cancelled` if the task is cancelled, which withdraws the approval; `stopped`.
    public func outcome(ofApproval id: ApprovalID) async throws(LLMgineError) -> ApprovalResult {
        guard let verdict = approvals.verdict(of: id) else {
            throw LLMgineError(.invalidArgument, "no approval \(id.text.printable) is pending on node \(node)")
        }
        return try await wait(for: verdict, of: id)
    }

    /// Allows it. Returns once everyone has been told.
    /// - Throws: `invalidArgument` if it is not pending any more, `remoteError` if so on another node, or the errors of a request.
    @discardableResult
    public func approve(_ id: ApprovalID, by person: String = "", note: String = "") async throws(LLMgineError) -> ApprovalResult {
        try await decide(ApprovalResult(id: id, status: .approved, decidedBy: person, note: note))
    }

    /// Forbids it. Returns once everyone has been told. - Throws: as ``approve(_:by:note:)``.
    @discardableResult
    public func deny(_ id: ApprovalID, by person: String = "", note: String = "") async throws(LLMgineError) -> ApprovalResult {
        try await decide(ApprovalResult(id: id, status: .denied, decidedBy: person, note: note))
    }

    /// Nobody needs it any more. Nothing happens if it is decided.
    public func withdrawApproval(_ id: ApprovalID) { approvals.withdraw(id, on: self) }

    /// What is pending on this node, oldest first.
    public var pendingApprovals: [Approval] { approvals.list }

    private func ask<C: Command>(
        _ command: C, _ approver: String, _ options: ApprovalOptions
    ) async throws(LLMgineError) -> (approval: Approval, verdict: ApprovalVerdict) {
        try checkRunning()
        var payload = ByteBuffer()
        do { try command.encode(into: &payload) } catch {
            throw LLMgineError(.badPayload, "a command of type \(C.commandType) does not encode", cause: error)
        }
        var callbacks: [ApprovalStatus: Message] = [:]
        for (status, event) in [(ApprovalStatus.approved, options.onApproval), (.denied, options.onDenial), (.expired, options.onExpiry)] {
            if let event { callbacks[status] = try encode(callback: event, session: options.session) }
        }
        var expires = WallClock.now
        if let delay = options.expiresAfter { expires = try WallClock.after(delay) }
        let approval = Approval(
            id: approvals.nextID(identity), approver: approver, summary: options.summary ?? C.commandType,
            request: Message(
                topic: C.topic, payload: payload, eventType: C.commandType, session: options.session, headers: options.headers),
            requested: WallClock.now, expires: options.expiresAfter == nil ? nil : expires, callbacks: callbacks)
        return (approval, try await approvals.add(approval, on: self))
    }

    private func encode<E: Event>(callback event: E, session: SessionID) throws(LLMgineError) -> Message {
        try encode(event, to: E.topic, options: PublishOptions(session: session))
    }

    /// The first counts: a decision that is under way when the task is cancelled is still the outcome.
    private func wait(for verdict: ApprovalVerdict, of id: ApprovalID) async throws(LLMgineError) -> ApprovalResult {
        let outcome = await withTaskCancellationHandler {
            do throws(LLMgineError) { return Result<ApprovalResult, LLMgineError>.success(try await verdict.wait()) } catch {
                return .failure(error)
            }
        } onCancel: {
            withdrawApproval(id)
        }
        return try outcome.get()
    }

    private func decide(_ result: ApprovalResult) async throws(LLMgineError) -> ApprovalResult {
        guard let owner = result.id.node, owner != node else { return try await conclude(result) }
        let question = Message(topic: try ApprovalDesk.topic(of: owner), payload: try result.encoded())
        let reply = try await request(question).first()
        do { return try ApprovalResult(decoding: reply.payload) } catch {
            throw LLMgineError(.badPayload, "the answer of \(owner) is no outcome of an approval", cause: error)
        }
    }

    /// A decision, from here or from another node, that only a person can make.
    func conclude(_ result: ApprovalResult) async throws(LLMgineError) -> ApprovalResult {
        guard result.status == .approved || result.status == .denied else {
            throw LLMgineError(.invalidArgument, "an approval is approved or denied, not \(result.status.rawValue)")
        }
        return try await approvals.conclude(result, on: self)
    }

    func observe(_ what: String, _ approval: Approval, _ metadata: [ObservedEvent.Entry]) {
        observability.observe(
            ObservedEvent(
                eventID: approval.id.text, eventType: what, timestamp: observability.tracer.clock.now(), session: approval.session,
                topic: approval.request.topic, metadata: metadata))
    }
}

extension ApprovalResult {
    func encoded() throws(LLMgineError) -> ByteBuffer {
        var buffer = ByteBuffer()
        do { try encode(into: &buffer) } catch { throw LLMgineError(.badPayload, "the outcome does not encode", cause: error) }
        return buffer
    }
}
