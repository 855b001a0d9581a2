import Dispatch
package import LLMgineCore
package import Logging
import Synchronization

import struct NIOCore.ByteBuffer

/// The line of one subscription where it goes on over the disk: what finds no room in memory waits in a file, and nothing passes it.
///
/// From the first event that is written until all of them have come back, every event of the subscription goes over the disk, so the order is kept
/// from memory to disk to memory. The file is written and read on a queue of its own, by nobody who publishes or handles; a publisher goes on when its
/// event is written. What the disk or the limit does not take is refused.
package final class SpillLine: Sendable {
    /// Where events come back to.
    package struct Target: Sendable {
        /// Has publishers keep away, or no longer; false if nobody is there any more for whom they would. Called with the line locked.
        let hold: @Sendable (Bool) -> Bool
        /// Puts an event in line in memory; false if there is no room. Called with the line locked.
        let enter: @Sendable (SpillRecord, MessageExtras?) -> Bool
        /// Waits until there may be room.
        let room: @Sendable () async -> Void
        /// So many events cannot be read back.
        let lose: @Sendable (Int) -> Void

        package init(
            hold: @escaping @Sendable (Bool) -> Bool, enter: @escaping @Sendable (SpillRecord, MessageExtras?) -> Bool,
            room: @escaping @Sendable () async -> Void, lose: @escaping @Sendable (Int) -> Void
        ) {
            self.hold = hold
            self.enter = enter
            self.room = room
            self.lose = lose
        }
    }

    /// What became of an event.
    package enum Outcome: Sendable {
        /// It is on the disk.
        case written
        /// The disk or the limit did not take it.
        case refused(LLMgineError)
        /// The subscription has ended.
        case ended
    }

    private struct State {
        var order = SpillOrder()
        /// What cannot be written: who waits for an event, and who must have it before.
        var extras: [UInt64: MessageExtras] = [:]
        var drain: Task<Void, Never>?
        var hasComplained = false
    }

    private let state = Mutex(State())
    private let file: Mutex<SpillFile>
    private let queue = DispatchQueue(label: "llmgine.spill")
    private let target: Target
    private let logger: Logger

    /// - Parameter logger: hears of the first event that the disk does not take; publishers see of each only that it was rejected.
    package init(in directory: String, maximumBytes: Int, logger: Logger, target: Target) {
        file = Mutex(SpillFile(in: directory, maximumBytes: maximumBytes))
        self.target = target
        self.logger = logger
    }

    /// Whether events must go over the disk, because others do.
    package var isSpilling: Bool { state.withLock { $0.order.isSpilling } }
    /// Events that are on the disk.
    package var waiting: Int { state.withLock { $0.order.waiting } }
    /// How many ever went there.
    package var written: UInt64 { state.withLock { $0.order.written } }

    /// Writes an event behind the others, and returns when that is done.
    /// - Parameter extras: what is kept in memory meanwhile, if somebody waits for the event or it for somebody.
    package func spill(_ record: SpillRecord, extras: MessageExtras? = nil) async -> Outcome {
        let bytes = record.bytes
        return await withCheckedContinuation { continuation in
            let isTaken = state.withLock { state -> Bool in
                guard !state.order.isEnded, state.order.isSpilling || target.hold(true) else { return false }
                if let extras, extras.isAwaited { state.extras[record.sequence] = extras }
                if state.order.departed() {
                    // Unstructured because it lasts as long as there is something on the disk; `end()` waits for it.
                    state.drain = Task { await self.drain() }
                }
                // With the line locked, so that whoever finds that something waits can read it behind this.
                queue.async { continuation.resume(returning: self.write(bytes, record.sequence)) }
                return true
            }
            if !isTaken { continuation.resume(returning: .ended) }
        }
    }

    private func write(_ bytes: ByteBuffer, _ sequence: UInt64) -> Outcome {
        let error = file.withLock { file -> LLMgineError? in
            do throws(LLMgineError) {
                try file.append(bytes)
                return nil
            } catch {
                return error
            }
        }
        if let error { complain(error) }
        return state.withLock { state -> Outcome in
            state.order.wrote(error == nil)
            guard let error else { return .written }
            state.extras[sequence] = nil
            return .refused(error)
        }
    }

    /// A limit that is reached is what the subscription asked for; a disk that fails is nobody's wish.
    private func complain(_ error: LLMgineError) {
        guard error.code == .storageFailed else { return }
        let isFirst = state.withLock { state -> Bool in
            defer { state.hasComplained = true }
            return !state.hasComplained
        }
        if isFirst { logger.error("the disk does not take events; they are rejected", metadata: ["error": "\(error.detail)"]) }
    }

    // MARK: The way back

    private func drain() async {
        while true {
            guard await read() else {
                if finishes() { return }
                continue
            }
            while let isEntered = enterNext() {
                if !isEntered { await target.room() }
            }
            if state.withLock({ $0.order.isEnded }) { return }  // `end` reads the rest
        }
    }

    /// Reads the next events. False if there are none.
    private func read() async -> Bool {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.readBatch()) }
        }
    }

    private func readBatch() -> Bool {
        let arrivals = SpillOrder.Arrivals(file.withLock { $0.next() })
        state.withLock { $0.order.arrived(arrivals) }
        if arrivals.lost > 0 { target.lose(arrivals.lost) }
        return !arrivals.isEmpty
    }

    /// Puts the next event in line. Nil if there is none, or the line has ended.
    private func enterNext() -> Bool? {
        state.withLock { state -> Bool? in
            guard let next = state.order.next else { return nil }
            guard target.enter(next, state.extras[next.sequence]) else { return false }
            state.extras[next.sequence] = nil
            state.order.entered()
            return true
        }
    }

    /// Whether everything is back, so that events may go past the disk again.
    private func finishes() -> Bool {
        state.withLock { state -> Bool in
            guard state.order.finished() else { return false }
            state.drain = nil
            if !state.order.isEnded { _ = target.hold(false) }
            return true
        }
    }

    // MARK: The end

    /// Takes nothing more and gives nothing back.
    package func close() {
        state.withLock { state in
            guard state.order.ended() else { return }
            _ = target.hold(false)  // who waits for room goes on, and sees the end
        }
    }

    /// The same, and gives up what is left, the oldest first. The file is gone after it.
    package func end(_ leave: (SpillRecord, MessageExtras?) -> Void = { _, _ in }) async {
        close()
        await state.withLock { $0.drain }?.value
        repeat {
            let (rest, extras) = state.withLock { ($0.order.takeRest(), $0.extras) }
            for record in rest { leave(record, extras[record.sequence]) }
        } while await read()
        state.withLock { $0.extras = [:] }
    }
}
