import Synchronization

/// A clock that a test turns by hand. Nothing that waits on it goes on before ``advance(by:)`` says so.
public final class ManualClock: Clock {
    /// A point on the clock, counted from its start.
    public struct Instant: InstantProtocol {
        /// The time since the start.
        public let offset: Swift.Duration
        /// The point after a duration.
        public func advanced(by duration: Swift.Duration) -> Instant { Instant(offset: offset + duration) }
        /// The duration up to another point.
        public func duration(to other: Instant) -> Swift.Duration { other.offset - offset }
        /// Earlier points sort first.
        public static func < (one: Instant, other: Instant) -> Bool { one.offset < other.offset }
    }

    /// What the clock counts in.
    public typealias Duration = Swift.Duration

    private struct Sleeper {
        let id: Int
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Watcher {
        let duration: Swift.Duration
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID = 0
        var sleepers: [Sleeper] = []
        var cancelled: Set<Int> = []
        var watchers: [Watcher] = []

        func isWaiting(for duration: Swift.Duration) -> Bool { sleepers.contains { now.duration(to: $0.deadline) == duration } }

        /// The watchers that have seen what they wait for.
        mutating func satisfied() -> [Watcher] {
            let satisfied = watchers.filter { isWaiting(for: $0.duration) }
            watchers = watchers.filter { !isWaiting(for: $0.duration) }
            return satisfied
        }
    }

    private let state = Mutex(State())

    /// A clock at zero.
    public init() {}

    /// The current point.
    public var now: Instant { state.withLock { $0.now } }
    /// The clock is exact.
    public var minimumResolution: Swift.Duration { .zero }

    /// Waits until the clock was turned that far. - Throws: `CancellationError` when the task is cancelled.
    public func sleep(until deadline: Instant, tolerance: Swift.Duration? = nil) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        defer { state.withLock { _ = $0.cancelled.remove(id) } }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                add(Sleeper(id: id, deadline: deadline, continuation: continuation))
            }
        } onCancel: {
            cancel(id)
        }
    }

    private func add(_ sleeper: Sleeper) {
        enum Outcome { case wakes, isCancelled, sleeps([Watcher]) }
        let outcome: Outcome = state.withLock { state in
            if state.cancelled.remove(sleeper.id) != nil { return .isCancelled }
            if sleeper.deadline <= state.now { return .wakes }
            state.sleepers.append(sleeper)
            return .sleeps(state.satisfied())
        }
        switch outcome {
        case .wakes: sleeper.continuation.resume()
        case .isCancelled: sleeper.continuation.resume(throwing: CancellationError())
        case .sleeps(let watchers): for watcher in watchers { watcher.continuation.resume() }
        }
    }

    private func cancel(_ id: Int) {
        let sleeper = state.withLock { state -> Sleeper? in
            guard let place = state.sleepers.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.sleepers.remove(at: place)
        }
        sleeper?.continuation.resume(throwing: CancellationError())
    }

    /// Turns the clock and wakes all whose time has come, in the order of their times.
    public func advance(by duration: Swift.Duration) {
        let woken = state.withLock { state -> [Sleeper] in
            state.now = state.now.advanced(by: duration)
            let now = state.now
            let woken = state.sleepers.filter { $0.deadline <= now }
            state.sleepers.removeAll { $0.deadline <= now }
            return woken.sorted { $0.deadline < $1.deadline }
        }
        for sleeper in woken { sleeper.continuation.resume() }
    }

    /// Waits until some task sleeps and has exactly so long to go: then the clock can be turned without a race.
    public func sleeper(for duration: Swift.Duration) async {
        await withCheckedContinuation { continuation in
            let isSatisfied = state.withLock { state in
                if state.isWaiting(for: duration) { return true }
                state.watchers.append(Watcher(duration: duration, continuation: continuation))
                return false
            }
            if isSatisfied { continuation.resume() }
        }
    }

    /// The waits that go on, shortest first.
    public var waits: [Swift.Duration] {
        state.withLock { state in state.sleepers.map { state.now.duration(to: $0.deadline) }.sorted() }
    }
}
