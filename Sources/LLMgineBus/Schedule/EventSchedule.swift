import LLMgineCore
import LLMgineObservability
import Synchronization

import struct FoundationEssentials.Date

/// The events that wait for their time. One timer each: none waits for another, and none polls.
final class EventSchedule: Sendable {
    private struct Entry {
        let event: ScheduledEvent
        /// Whether it is due after a delay, whatever happens to the wall clock, rather than at a moment.
        var isDelay = false
        var timer: UInt64?
        var isBeingPublished = false
    }

    private struct State {
        var entries: [ScheduledEvent.ID: Entry] = [:]
        /// What an earlier life left, until ``resume(on:)``.
        var restored: [ScheduledEvent.ID: ScheduledEvent] = [:]
        var number: UInt64 = 0
        var isStopped = false
    }

    private let state: Mutex<State>
    private let capacity: Int
    private let timers: TimerQueue
    let store: (any BusStore)?

    init(capacity: Int, timers: TimerQueue, store: (any BusStore)?, restored: [ScheduledEvent]) {
        self.capacity = capacity
        self.timers = timers
        self.store = store
        let known = Dictionary(restored.map { ($0.id, $0) }, uniquingKeysWith: { _, later in later })
        // Numbers go on, so that no name comes twice even if somebody gives two lives one incarnation.
        state = Mutex(State(restored: known, number: known.keys.compactMap(\.number).max() ?? 0))
    }

    /// Adds an event and returns once it would survive a crash, if there is a store. - Throws: `limitExceeded`, `stopped`, `storageFailed`.
    func add(_ message: Message, due: Date, isDelay: Bool, on bus: MessageBus) async throws(LLMgineError) -> ScheduledEvent {
        let event = try reserve(message, due: due, isDelay: isDelay, identity: bus.identity)
        if let store {
            do throws(LLMgineError) { try await store.keep(.scheduled(event)) } catch {
                state.withLock { $0.entries[event.id] = nil }
                throw error
            }
        }
        arm(event, on: bus)
        return event
    }

    private func reserve(_ message: Message, due: Date, isDelay: Bool, identity: BusIdentity) throws(LLMgineError) -> ScheduledEvent {
        let (event, isStopped) = state.withLock { state -> (ScheduledEvent?, Bool) in
            guard !state.isStopped, state.entries.count + state.restored.count < capacity else { return (nil, state.isStopped) }
            state.number += 1
            let id = ScheduledEvent.ID("\(identity.node)/\(identity.incarnation)/s\(state.number)")
            let event = ScheduledEvent(id: id, due: due, message: message)
            state.entries[id] = Entry(event: event, isDelay: isDelay)
            return (event, false)
        }
        if let event { return event }
        if isStopped { throw LLMgineError(.stopped, "the bus of node \(identity.node) has stopped") }
        throw LLMgineError(.limitExceeded, "\(capacity) events are scheduled already")
    }

    private func arm(_ event: ScheduledEvent, on bus: MessageBus) {
        let timer = timers.schedule(at: WallClock.instant(of: event.due)) { [weak self, weak bus] in
            guard let self, let bus else { return }
            fire(event.id, on: bus)
        }
        let isGone = state.withLock { state in
            state.entries[event.id]?.timer = timer
            return state.entries[event.id] == nil
        }
        if isGone { timers.cancel(timer) }
    }

    /// A timer rang.
    private func fire(_ id: ScheduledEvent.ID, on bus: MessageBus) {
        let now = WallClock.now.timeIntervalSince1970
        let due: (event: ScheduledEvent, isEarly: Bool)? = state.withLock { state in
            guard let entry = state.entries[id], !entry.isBeingPublished, !state.isStopped else { return nil }
            // The wall clock may have been set back, and a moment belongs to it.
            let isEarly = !entry.isDelay && entry.event.due.timeIntervalSince1970 - now > 0.001
            state.entries[id]?.isBeingPublished = !isEarly
            return (entry.event, isEarly)
        }
        guard let due else { return }
        guard !due.isEarly else { return arm(due.event, on: bus) }
        // A task of its own, because a full subscription may hold this one back and must not hold back the others.
        Task { await publish(due.event, on: bus) }
    }

    private func publish(_ event: ScheduledEvent, on bus: MessageBus) async {
        do throws(LLMgineError) {
            let receipt = try await bus.publish(event.message)
            // What a stop cut off is for the next life.
            guard receipt.accepted > 0 || bus.isRunning else { return }
        } catch {
            guard bus.isRunning else { return }
            bus.bury(event, error)
        }
        state.withLock { $0.entries[event.id] = nil }
        store?.note(.unscheduled(event.id))
    }

    /// Calls an event off. - Returns: the event, or nil if it is published already or is no more.
    func cancel(_ id: ScheduledEvent.ID) async throws(LLMgineError) -> ScheduledEvent? {
        let (event, timer) = state.withLock { state -> (ScheduledEvent?, UInt64?) in
            if let event = state.restored.removeValue(forKey: id) { return (event, nil) }
            guard let entry = state.entries[id], !entry.isBeingPublished else { return (nil, nil) }
            state.entries[id] = nil
            return (entry.event, entry.timer)
        }
        if let timer { timers.cancel(timer) }
        if event != nil, let store { try await store.keep(.unscheduled(id)) }
        return event
    }

    /// What waits, earliest first.
    var list: [ScheduledEvent] {
        let (entries, restored) = state.withLock { ($0.entries, $0.restored) }
        let waiting = entries.values.filter { !$0.isBeingPublished }.map(\.event) + restored.values
        return waiting.sorted { ($0.due, $0.id.text) < ($1.due, $1.id.text) }
    }

    var count: Int { state.withLock { $0.entries.count + $0.restored.count } }

    /// Lets what an earlier life left come at its time, and what is due at once.
    func resume(on bus: MessageBus) {
        let restored = state.withLock { state in
            let restored = state.restored.values.sorted { $0.due < $1.due }
            state.restored = [:]
            for event in restored { state.entries[event.id] = Entry(event: event) }
            return restored
        }
        for event in restored { arm(event, on: bus) }
    }

    /// Nothing is published any more. - Returns: how many events are forgotten, because there is no store.
    func stop() -> Int {
        state.withLock { state in
            state.isStopped = true
            return store == nil ? state.entries.count : 0
        }
    }
}
