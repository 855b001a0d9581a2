import LLMgineCore
public import LLMgineResilience
import Synchronization

/// Events and commands that could not be handled: what they were, who failed, why, and how often it was tried.
///
/// Nothing here ever waits. At capacity the oldest letter goes and is counted in ``evicted``. With a store, letters outlive the process.
public final class DeadLetters: Sendable {
    private struct State {
        var store: DeadLetterStore
        var watchers: [UInt64: AsyncStream<DeadLetter>.Continuation] = [:]
        var nextWatcher: UInt64 = 0
        var redeliver: (@Sendable (DeadLetter, DeliveryToken) -> Bool)?
    }

    private let state: Mutex<State>
    /// How many are kept at most.
    public let capacity: Int
    private let disk: (any BusStore)?

    init(capacity: Int, store: (any BusStore)? = nil, restored: [DeadLetter] = []) {
        self.capacity = capacity
        disk = store
        let letters = DeadLetterStore(capacity: capacity, restoring: capacity > 0 ? restored : [])
        state = Mutex(State(store: letters))
        for letter in restored where letters[letter.id] == nil { store?.note(.deadLetterGone(letter.id)) }
    }

    /// Says how a letter gets back to its subscription, and that the token is settled when it has been dealt with there.
    func deliver(through redeliver: @escaping @Sendable (DeadLetter, DeliveryToken) -> Bool) { state.withLock { $0.redeliver = redeliver } }

    func add(
        message: MessageID, command: CommandID? = nil, content: Message, subscription: String, error: LLMgineError,
        encodingError: LLMgineError?, attempts: Int, firstAttempt: Duration, lastAttempt: Duration
    ) {
        guard capacity > 0 else { return }
        let (letter, watchers) = state.withLock { state in
            let (id, evicted) = state.store.add(
                message: message, command: command, content: content, subscription: subscription, error: error,
                encodingError: encodingError, attempts: attempts, firstAttempt: firstAttempt, lastAttempt: lastAttempt)
            let letter = state.watchers.isEmpty && disk == nil ? nil : state.store[id]
            // Under the lock, so that the disk hears of a letter before it hears that it is gone.
            if let disk, let letter {
                disk.note(.deadLetter(letter))
                if let evicted { disk.note(.deadLetterGone(evicted.id)) }
            }
            return (letter, Array(state.watchers.values))
        }
        guard let letter else { return }
        for watcher in watchers { watcher.yield(letter) }
    }

    // MARK: Looking

    /// How many there are.
    public var count: Int { state.withLock { $0.store.count } }
    /// How many went because there was no room.
    public var evicted: UInt64 { state.withLock { $0.store.evicted } }
    /// How many there ever were.
    public var added: UInt64 { state.withLock { $0.store.added } }

    /// The oldest letters after the one with this number, in order: pages of a list.
    public func list(after id: UInt64 = 0, limit: Int = .max) -> [DeadLetter] { state.withLock { $0.store.list(after: id, limit: limit) } }

    /// The letter with this number, if it is still there.
    public subscript(id: UInt64) -> DeadLetter? { state.withLock { $0.store[id] } }

    /// The letters that come from now on. Whoever reads slowly loses the oldest of what waits, at most ``capacity``, and sees it in the numbers.
    public func arrivals() -> AsyncStream<DeadLetter> {
        let (stream, continuation) = AsyncStream.makeStream(of: DeadLetter.self, bufferingPolicy: .bufferingNewest(max(1, capacity)))
        let id = state.withLock { state in
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = continuation
            return state.nextWatcher
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.watchers[id] = nil } }
        return stream
    }

    /// Ends the streams of arrivals.
    func finish() {
        let watchers = state.withLock { state in
            defer { state.watchers = [:] }
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.finish() }
    }

    // MARK: Dealing with them

    /// Throws a letter away. - Returns: the letter, or nil if it was not there.
    @discardableResult
    public func remove(_ id: UInt64) -> DeadLetter? {
        let letter = state.withLock { $0.store.take(id) }
        if letter != nil { disk?.note(.deadLetterGone(id)) }
        return letter
    }

    /// Throws all letters away. - Returns: how many.
    @discardableResult
    public func removeAll() -> Int {
        let letters = state.withLock { $0.store.takeAll() }
        if let disk { for letter in letters { disk.note(.deadLetterGone(letter.id)) } }
        return letters.count
    }

    /// Puts the event at the end of the queue of the subscription that failed, and of no other; executes a command once more. The handler sees the
    /// number of the attempt go on; if it fails for good again, there is a new letter. The store keeps the old one until then, so that a letter that was being
    /// tried again when the process died is there after it.
    /// - Returns: false if the letter is gone, or stays because its subscription or command handler is gone, or has no room.
    @discardableResult
    public func retry(_ id: UInt64) -> Bool {
        // Taken out first, so that two callers cannot both deliver it.
        let (letter, redeliver) = state.withLock { ($0.store.take(id), $0.redeliver) }
        guard let letter else { return false }
        let token = DeliveryToken { [disk] in disk?.note(.deadLetterGone(id)) }
        if let redeliver, redeliver(letter, token) { return true }
        token.disarm()
        let isBack = state.withLock { state in
            state.store.restore(letter)
            return state.store[id] != nil
        }
        if !isBack { disk?.note(.deadLetterGone(id)) }
        return false
    }

    /// Tries every letter again, oldest first. - Returns: how many went back to their subscriptions.
    @discardableResult
    public func retryAll() -> Int { list().count { retry($0.id) } }
}
