import LLMgineCore
import LLMgineObservability
import Synchronization

import struct FoundationEssentials.Date

/// The approvals that are pending on this node. Deadlines are timers, nothing polls; the first outcome counts.
final class ApprovalDesk: Sendable {
    private struct Entry {
        var approval: Approval
        let verdict = ApprovalVerdict()
        var timer: UInt64?
        /// Somebody's own way to decide, which ends with the approval.
        var handler: Task<Void, Never>?
        /// The outcome is known, or the request is withdrawn: nothing else counts.
        var isOver = false
    }

    private struct State {
        var entries: [ApprovalID: Entry] = [:]
        var number: UInt64 = 0
        var isStopped = false
        var answersOthers = false
    }

    private let state: Mutex<State>
    private let capacity: Int
    private let timers: TimerQueue
    private let store: (any BusStore)?

    init(capacity: Int, timers: TimerQueue, store: (any BusStore)?, restored: [Approval]) {
        self.capacity = capacity
        self.timers = timers
        self.store = store
        var state = State()
        for approval in restored { state.entries[approval.id] = Entry(approval: approval) }
        state.number = restored.compactMap(\.id.number).max() ?? 0
        self.state = Mutex(state)
    }

    /// What nobody has decided, oldest first.
    var list: [Approval] {
        state.withLock { state in state.entries.values.filter { !$0.isOver && $0.approval.outcome == nil }.map(\.approval) }
            .sorted { ($0.requested, $0.id.text) < ($1.requested, $1.id.text) }
    }

    // MARK: Asking

    /// Adds an approval, keeps it, starts its clock and tells everyone. - Throws: `limitExceeded`, `stopped`, `storageFailed`.
    func add(_ approval: Approval, on bus: MessageBus) async throws(LLMgineError) -> ApprovalVerdict {
        let (verdict, isStopped) = state.withLock { state -> (ApprovalVerdict?, Bool) in
            guard !state.isStopped, state.entries.count < capacity else { return (nil, state.isStopped) }
            let entry = Entry(approval: approval)
            state.entries[approval.id] = entry
            return (entry.verdict, false)
        }
        guard let verdict else {
            if isStopped { throw LLMgineError(.stopped, "the bus of node \(bus.node) has stopped") }
            throw LLMgineError(.limitExceeded, "\(capacity) approvals are pending already")
        }
        do throws(LLMgineError) { try await store?.keep(.approval(approval)) } catch {
            state.withLock { $0.entries[approval.id] = nil }
            throw error
        }
        do throws(LLMgineError) {
            try await answerOthers(on: bus)
            arm(approval, on: bus)
            try await bus.publish(ApprovalRequestEvent(approval), options: PublishOptions(session: approval.session))
        } catch {
            withdraw(approval.id, on: bus)
            throw error
        }
        return verdict
    }

    /// A name for the next one.
    func nextID(_ identity: BusIdentity) -> ApprovalID {
        let number = state.withLock { state in
            state.number += 1
            return state.number
        }
        return ApprovalID("\(identity.node)/\(identity.incarnation)/a\(number)")
    }

    private func arm(_ approval: Approval, on bus: MessageBus) {
        guard let expires = approval.expires else { return }
        let timer = timers.schedule(at: WallClock.instant(of: expires)) { [weak self, weak bus] in
            guard let self, let bus else { return }
            // Unstructured because a timer's action must not block; it ends with the announcement.
            Task { try? await self.conclude(ApprovalResult(id: approval.id, status: .expired), on: bus) }
        }
        let isGone = state.withLock { state in
            state.entries[approval.id]?.timer = timer
            return state.entries[approval.id] == nil
        }
        if isGone { timers.cancel(timer) }
    }

    /// Runs somebody's own way to decide, for as long as the approval is pending.
    func run(_ id: ApprovalID, on bus: MessageBus, _ handler: @escaping @Sendable () async throws -> ApprovalDecision) {
        // Unstructured because whoever asked does not wait here; the end of the approval cancels it.
        let task = Task { [weak self, weak bus] in
            let result: ApprovalResult
            do {
                let decision = try await handler()
                result = ApprovalResult(
                    id: id, status: decision.isApproval ? .approved : .denied, decidedBy: decision.by, note: decision.note)
            } catch {
                guard !Task.isCancelled else { return }
                result = ApprovalResult(
                    id: id, status: .denied, note: (error as? LLMgineError)?.description ?? "the handler threw \(type(of: error))")
            }
            guard let self, let bus else { return }
            _ = try? await conclude(result, on: bus)
        }
        let isOver = state.withLock { state in
            guard let entry = state.entries[id], !entry.isOver else { return true }
            state.entries[id]?.handler = task
            return false
        }
        if isOver { task.cancel() }
    }

    /// The verdict of an approval that is pending here.
    func verdict(of id: ApprovalID) -> ApprovalVerdict? { state.withLock { $0.entries[id]?.verdict } }

    // MARK: Deciding

    /// Ends an approval, keeps and announces the outcome. - Throws: `invalidArgument` if none of the name is pending.
    @discardableResult
    func conclude(_ result: ApprovalResult, on bus: MessageBus) async throws(LLMgineError) -> ApprovalResult {
        guard let entry = close(result.id) else {
            throw LLMgineError(.invalidArgument, "no approval \(result.id.text.printable) is pending on node \(bus.node)")
        }
        var approval = entry.approval
        approval.outcome = result
        // A task of its own: whoever decides may be cancelled, and its decision stands.
        await Task { [approval] in await announce(approval, result, entry.verdict, on: bus) }.value
        return result
    }

    /// Keeps the outcome before anybody hears of it, so that no later life comes to another one, and forgets it when everybody has.
    private func announce(_ approval: Approval, _ result: ApprovalResult, _ verdict: ApprovalVerdict, on bus: MessageBus) async {
        do throws(LLMgineError) { try await store?.keep(.approval(approval)) } catch {
            bus.observe("ApprovalNotKept", approval, [.init("error", error.code.rawValue)])
        }
        bus.observe("Approval", approval, [.init("status", result.status.rawValue)])
        let options = PublishOptions(session: approval.session)
        do throws(LLMgineError) {
            switch result.status {
            case .approved: try await bus.publish(ApprovalAcceptedEvent(result: result), options: options)
            case .denied: try await bus.publish(ApprovalDeniedEvent(result: result), options: options)
            case .expired: try await bus.publish(ApprovalExpiredEvent(result: result), options: options)
            case .pending: break
            }
            if let callback = approval.callbacks[result.status] { try await bus.publish(callback) }
            store?.note(.approvalGone(approval.id))
        } catch {
            // The bus has stopped: the next life announces it.
            bus.observe("ApprovalNotAnnounced", approval, [.init("error", error.code.rawValue)])
        }
        state.withLock { $0.entries[approval.id] = nil }
        verdict.settle(.success(result))
    }

    /// Whoever asked does not wait any more.
    func withdraw(_ id: ApprovalID, on bus: MessageBus) {
        guard let entry = close(id) else { return }
        state.withLock { $0.entries[id] = nil }
        store?.note(.approvalGone(id))
        bus.observe("Approval", entry.approval, [.init("status", "withdrawn")])
        entry.verdict.settle(.failure(LLMgineError(.cancelled, "nobody waits for the approval \(id) any more")))
        // Unstructured because a cancelled asker's task cannot publish; it ends with the publish.
        Task { _ = try? await bus.publish(ApprovalWithdrawnEvent(id: id), options: PublishOptions(session: entry.approval.session)) }
    }

    /// Takes the right to say how it ended. Nil if somebody else has it.
    private func close(_ id: ApprovalID) -> Entry? {
        let entry: Entry? = state.withLock { state in
            guard let entry = state.entries[id], !entry.isOver, !state.isStopped else { return nil }
            state.entries[id]?.isOver = true
            return entry
        }
        if let timer = entry?.timer { timers.cancel(timer) }
        entry?.handler?.cancel()
        return entry
    }

    // MARK: Life

    /// Goes on with what an earlier life left.
    func resume(on bus: MessageBus) async {
        let restored = state.withLock { state in state.entries.values.filter { $0.timer == nil && !$0.isOver }.map(\.approval) }
        guard !restored.isEmpty else { return }
        do throws(LLMgineError) { try await answerOthers(on: bus) } catch { return }  // the bus has stopped
        for approval in restored {
            if let outcome = approval.outcome { _ = try? await conclude(outcome, on: bus) } else { arm(approval, on: bus) }
        }
    }

    /// Lets other nodes decide what is pending here.
    private func answerOthers(on bus: MessageBus) async throws(LLMgineError) {
        let isFirst = state.withLock { state in
            defer { state.answersOthers = true }
            return !state.answersOthers
        }
        guard isFirst else { return }
        let topic = try ApprovalDesk.topic(of: bus.node)
        try await bus.respond(to: TopicFilter(topic), options: ResponderOptions(name: "approvals")) { [weak bus] message, _ in
            guard let bus else { throw LLMgineError(.stopped, "the bus has stopped") }
            return try await bus.conclude(try ApprovalResult(decoding: message.payload)).encoded()
        }
        // Who hears of the approval there must be able to decide it; a peer that does not answer will learn it later.
        try? await bus.cluster?.established(deadline: .seconds(2))
    }

    /// Where a node hears of decisions.
    static func topic(of node: NodeID) throws(LLMgineError) -> Topic { try Topic("llmgine.approvals.\(node.name)") }

    /// Nobody gets an outcome in this life any more. What is kept is for the next. - Returns: how many are forgotten, without a store.
    func stop() -> Int {
        let entries = state.withLock { state in
            state.isStopped = true
            return state.entries.values.filter { !$0.isOver }
        }
        for entry in entries {
            entry.handler?.cancel()
            entry.verdict.settle(.failure(LLMgineError(.stopped, "the bus stopped before approval \(entry.approval.id) was decided")))
        }
        return store == nil ? entries.count : 0
    }
}
