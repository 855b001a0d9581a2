import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Logging
import Synchronization

// What has been on the disk comes back.
extension Mailbox {
    /// Has publishers keep away because others come first. False if the mailbox is closed: its consumer may be gone.
    func hold() -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            state.gate.hold(true)
            return true
        }
    }

    /// Has them come again. Who waits for room looks again.
    func letGo() {
        let (sleeper, waiters) = state.withLock { state -> (CheckedContinuation<Void, Never>?, [Waiter]) in
            state.gate.hold(false)
            hasWaiters.store(false, ordering: .sequentiallyConsistent)
            return (state.isClosed ? state.takeSleeper() : nil, state.takeWaiters())
        }
        sleeper?.resume()
        for waiter in waiters { waiter.continuation.resume(returning: false) }
    }

    /// Puts a message in line that has been on the disk, also when nothing new is taken in any more. False if there is no room.
    func readmit(_ message: EncodedMessage, sequence: UInt64, extras: MessageExtras?) -> Bool {
        let lane = Int(message.message.priority.rawValue)
        let (isTaken, sleeper) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            state.finishedSeen = finished.load(ordering: .acquiring)
            guard state.entered &- state.finishedSeen < capacity else { return (false, nil) }
            let wasEmpty = state.lanes[lane].isEmpty
            state.lanes[lane].append(
                Item(body: .encoded(message), sequence: sequence, extras: extras), topic: message.message.topic,
                session: message.message.session)
            state.entered &+= 1
            if wasEmpty { pending.bitwiseOr(1 << UInt8(truncatingIfNeeded: lane), ordering: .releasing) }
            return (true, state.takeSleeper())
        }
        sleeper?.resume()
        return isTaken
    }

    /// Messages are gone that were on the disk: their handler is told.
    func noteUnreadable(_ count: Int) {
        state.withLock { $0.evicted += UInt64(count) }
        meters.dropped.increment(by: UInt64(count))
        noteGap(count, priority: .normal)
    }
}

extension AnySubscriber {
    /// The line of a subscription of this node that goes on over the disk; nil for any other.
    static func makeSpillLine(_ queue: BoundedEventQueue, _ mailbox: Mailbox, of name: String, in directory: String) -> SpillLine? {
        guard queue.strategy == .spill else { return nil }
        var logger = Logger(label: "llmgine.bus")
        logger[metadataKey: "subscription"] = "\(name)"
        return SpillLine(
            in: directory, maximumBytes: queue.maximumSpillBytes, logger: logger,
            target: SpillLine.Target(
                hold: { isHolding in
                    if isHolding { return mailbox.hold() }
                    mailbox.letGo()
                    return true
                },
                enter: { record, extras in
                    mailbox.readmit(
                        EncodedMessage(record.message, origin: record.origin), sequence: record.sequence,
                        extras: extras ?? record.extras(at: .now))
                },
                room: { _ = await mailbox.wait(above: mailbox.releaseLevel) { _ in } },
                lose: { mailbox.noteUnreadable($0) }))
    }
}

extension Subscriber {
    func burySpilled() async {
        await spill?.end { record, extras in
            let envelope = Envelope(
                run: DeliveryRun(
                    topic: record.message.topic, session: record.message.session, priority: record.message.priority,
                    node: record.origin?.node ?? services.origin.node,
                    incarnation: record.origin?.incarnation ?? services.origin.incarnation),
                sequence: record.origin?.sequence ?? record.sequence, extras: extras ?? record.extras(at: .now), missed: 0)
            bury(
                record.message, nil, envelope, LLMgineError(.stopped, "the subscription ended before the event was handled"), attempts: 0)
        }
    }
}

extension SpillRecord {
    /// The time since the start of the machine.
    package static var now: Duration { .nanoseconds(Int64(clamping: SystemClock.monotonicNanoseconds())) }

    fileprivate func extras(at instant: ContinuousClock.Instant) -> MessageExtras? {
        guard !message.headers.isEmpty || message.trace != nil || expires != nil else { return nil }
        return MessageExtras(
            headers: message.headers, trace: message.trace, expires: expires.map { instant + ($0 - SpillRecord.now) })
    }
}

/// An event that may have to go to the disk.
struct SpillCopy {
    let message: EncodedMessage
    let sequence: UInt64
    let extras: MessageExtras?
}

extension MessageExtras {
    /// Whether somebody waits for the event, or it for somebody.
    var isAwaited: Bool { token != nil || gate != nil }
}
