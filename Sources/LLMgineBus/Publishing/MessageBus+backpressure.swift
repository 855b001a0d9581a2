import LLMgineCore
import LLMgineFlow
import LLMgineResilience
import LLMgineRouting
import Synchronization

extension MessageBus {
    /// Gets an event into a queue on this node that would not take it at once: waits up to the subscription's deadline, or does about it what
    /// the queue's gate says.
    ///
    /// A handler that publishes to its own full queue does not wait: nobody but itself could make room. Its subscription is demoted at once. So is one
    /// whose handler waits for the caller.
    /// - Parameters:
    ///   - start: when it first held this event back, from which its deadline counts unless its queue has moved since. Default: now.
    ///   - copy: the event as it goes to the disk, for a subscription that asks for that; nil if it does not encode.
    func insist(
        on subscriber: AnySubscriber, since start: HoldStart? = nil, _ receipt: inout PublishReceipt,
        _ attempt: () -> SubscriberOffer,
        copy: () -> SpillCopy?, refused: () -> Void
    ) async throws(LLMgineError) {
        if let line = subscriber.spill { return await spill(copy(), to: subscriber, by: line, &receipt, refused: refused) }
        let mailbox = subscriber.mailbox
        let first = start?.begin(mailbox) ?? .now
        let started = receipt.uncounted(since: first)
        let end = first.advanced(bySaturating: subscriber.options.queue.deadline)
        var hasWaited = false
        // Another of several handlers of the same subscription may well make room.
        let caller = callingSubscription.flatMap { $0 == subscriber.id ? nil : $0 }
        let isNoted = caller.map { waits.begin($0, for: subscriber.id) }
        defer { if let caller, isNoted == true { waits.end(caller, for: subscriber.id) } }
        let mayWait = isNoted ?? !subscriber.isCalledByItself
        while true {
            let offer = attempt()
            guard case .full = offer else {
                receipt.matched -= 1  // counted when it was first offered
                receipt.count(offer)
                break
            }
            switch mailbox.advice {
            case .tryAgain: break
            case .refuse:
                receipt.rejected += 1
                mailbox.noteRejected()
                return refused()
            case .makeRoom:
                if subscriber.displaceOldest() { receipt.evicted += 1 } else { mailbox.grantPass() }
            case .rest(let delay):
                if mayWait {
                    hasWaited = true
                    try await wait(in: mailbox, above: mailbox.releaseLevel, until: min(end, .now.advanced(bySaturating: delay)))
                }
                mailbox.grantPass()
            case .waitForRoom where !mayWait && subscriber.mayLoseNothing:
                return subscriber.refuse(&receipt, refused)
            case .waitForRoom where !mayWait:
                mailbox.demote()
                receipt.slow.append(subscriber.name)
            case .waitForRoom:
                hasWaited = true
                if try await !wait(in: mailbox, above: mailbox.capacity - 1, until: end), ContinuousClock.now >= end {
                    if subscriber.mayLoseNothing {
                        receipt.waited += ContinuousClock.now - started
                        return subscriber.refuse(&receipt, refused)
                    }
                    mailbox.demote()
                    receipt.slow.append(subscriber.name)
                }
            }
        }
        if hasWaited { receipt.waited += ContinuousClock.now - started }
    }

    /// The receipt has the match already.
    private func spill(
        _ copy: SpillCopy?, to subscriber: AnySubscriber, by line: SpillLine,
        _ receipt: inout PublishReceipt, refused: () -> Void
    ) async {
        var outcome = SpillLine.Outcome.refused(LLMgineError(.badPayload, "the event does not encode"))
        if let copy {
            let record = SpillRecord(copy.message.message, sequence: copy.sequence, origin: copy.message.origin, at: SpillRecord.now)
            outcome = await line.spill(record, extras: copy.extras)
        }
        if case .refused = outcome {
            subscriber.mailbox.noteRejected()
            if subscriber.options.queue.keepsDropped { refused() }
        }
        receipt.count(outcome)
    }

    @discardableResult
    private func wait(in mailbox: Mailbox, above level: Int, until end: ContinuousClock.Instant) async throws(LLMgineError) -> Bool {
        heldBack.add(1, ordering: .relaxed)
        defer { heldBack.subtract(1, ordering: .relaxed) }
        return try await wait(until: end, wait: { await mailbox.wait(above: level, $0) }, giveUp: { mailbox.giveUp($0, demote: false) })
    }

    /// The same for a link, which the receipt counts as a match.
    func insist(on held: HeldRemote, _ message: Message, _ number: UInt64, _ receipt: inout PublishReceipt)
        async throws(LLMgineError) -> HeldEnd
    {
        heldBack.add(1, ordering: .relaxed)
        defer { heldBack.subtract(1, ordering: .relaxed) }
        var held = held
        let remote = held.remote
        let started = receipt.uncounted(since: held.since)
        var isFirst = true
        while true {
            let offer = remote.offer(message, sequence: number)
            if isFirst { held.begin() }
            isFirst = false
            // Nobody holds it if there has been room since.
            let end = held.end()
            switch offer {
            case .failed(let error):
                receipt.waited += ContinuousClock.now - started
                return .failed(error)
            case .closed:
                receipt.waited += ContinuousClock.now - started
                return .closed
            case .refused:
                receipt.waited += ContinuousClock.now - started
                return .refused
            case .accepted:
                receipt.count(offer)
                receipt.waited += ContinuousClock.now - started
                return .counted
            case .full:
                if let outcome = await remote.spill(message, sequence: number) {
                    if case .ended = outcome { return .closed }
                    receipt.count(outcome)
                    return .counted
                }
                guard let end, try await !wait(until: end, wait: remote.waitForRoom, giveUp: { remote.giveUp($0) }) else { continue }
            case .paced(let rest): try await pause(until: min(end ?? .now + rest, .now + rest))
            }
            receipt.slow += held.demoteOverdue()
        }
    }

    /// - Throws: `cancelled`.
    private func pause(until end: ContinuousClock.Instant) async throws(LLMgineError) {
        do { try await Task.sleep(until: end, clock: .continuous) } catch {
            throw LLMgineError(.cancelled, "the publishing task was cancelled while it kept to the pace of a subscription")
        }
    }

    /// One bounded wait. - Throws: `cancelled`.
    private func wait(
        until end: ContinuousClock.Instant, wait: ((UInt64) -> Void) async -> Bool, giveUp: @escaping @Sendable (UInt64) -> Void
    ) async throws(LLMgineError) -> Bool {
        let pending = PendingWait()
        let roomy = await withTaskCancellationHandler {
            await wait { id in
                let timer = timers.schedule(at: end) { giveUp(id) }
                if pending.registered(id, timer: timer) { giveUp(id) }
            }
        } onCancel: {
            if let id = pending.cancelled() { giveUp(id) }
        }
        if let timer = pending.timer { timers.cancel(timer) }
        if Task.isCancelled { throw LLMgineError(.cancelled, "the publishing task was cancelled while it waited for a full subscription") }
        return roomy
    }
}
