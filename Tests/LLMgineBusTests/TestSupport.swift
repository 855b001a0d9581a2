import LLMgineBus
import LLMgineCore
import LLMgineResilience
import Logging
import NIOCore
import Synchronization

/// An event with a number.
struct Tick: Event, Hashable {
    var number: Int
    var publisher = 0
}

/// An event of another type.
struct Tock: Event, Hashable {
    var text: String
}

/// An error that a test's handler throws.
struct Mishap: Error {}

/// An error that says whether it is worth trying again.
struct Verdict: RetryClassifying {
    var isRetryable: Bool
}

/// Hands every line of a logger to a test.
struct LineHandler: LogHandler {
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]
    private let take: @Sendable (LogEvent) -> Void

    init(_ take: @escaping @Sendable (LogEvent) -> Void) { self.take = take }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { take(event) }
}

/// What handlers saw, in order, for tests to wait for.
final class Journal<Entry: Sendable>: Sendable {
    private struct State {
        var entries: [Entry] = []
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    func add(_ entry: Entry) {
        let ready = state.withLock { state in
            state.entries.append(entry)
            let ready = state.waiters.filter { $0.count <= state.entries.count }
            state.waiters.removeAll { $0.count <= state.entries.count }
            return ready
        }
        for waiter in ready { waiter.continuation.resume() }
    }

    var entries: [Entry] { state.withLock { $0.entries } }

    /// Waits until there are so many, and gives the first of them.
    @discardableResult
    func first(_ count: Int) async -> [Entry] {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.entries.count < count { state.waiters.append((count, continuation)) }
                return state.entries.count >= count
            }
            if isThere { continuation.resume() }
        }
        return Array(entries.prefix(count))
    }
}

/// Closed until it is opened; then open for ever.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Waits for the opening and nothing else.
    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

/// Waits for the cancellation of the task.
func cancellation() async throws {
    try await Task.sleep(for: .seconds(3600))
}

extension BusResilience {
    /// Retries at once, so that tests do not wait.
    static let swift = BusResilience(retry: RetryPolicy(initialDelay: .zero), circuitBreaker: nil)
}

extension MessageBus {
    convenience init(_ resilience: BusResilience) {
        self.init(configuration: BusConfiguration(name: "n", incarnation: Incarnation(1), resilience: resilience))
    }
}

extension Message {
    init(_ topic: Topic, _ text: String, priority: Priority = .normal) {
        self.init(topic: topic, payload: ByteBuffer(string: text), priority: priority)
    }

    var text: String { String(buffer: payload) }
}

/// A subscription whose handler is at work on its first event and waits for the gate, so that a test knows what is queued behind it.
struct HeldSubscription {
    let subscription: Subscription
    let gate = Gate()
    let seen = Journal<(Tick, EventContext)>()

    init(on bus: MessageBus, _ filter: TopicFilter = "t", options: SubscriptionOptions) async throws {
        subscription = try await bus.subscribe(filter, options: options) { [gate, seen] (tick: Tick, context) in
            seen.add((tick, context))
            await gate.pass()
        }
        let topic = try Topic(filter.text)
        try await bus.publish(Tick(number: 0), to: topic)
        await seen.first(1)
    }

    var numbers: [Int] { seen.entries.map(\.0.number) }
}
