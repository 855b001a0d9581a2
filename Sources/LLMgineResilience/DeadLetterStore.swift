package import struct LLMgineCore.CommandID
package import struct LLMgineCore.LLMgineError
package import struct LLMgineCore.Message
package import struct LLMgineCore.MessageID

/// The dead letters of a process, at most `capacity` of them.
///
/// It never blocks and never refuses: at capacity the oldest goes, and is counted.
package struct DeadLetterStore: Sendable {
    /// How many it keeps at most. Default 1000.
    package let capacity: Int
    /// How many went because the store was full.
    package private(set) var evicted: UInt64 = 0
    /// How many were ever added.
    package var added: UInt64 { next - 1 }

    private var letters: [UInt64: DeadLetter] = [:]
    private var next: UInt64 = 1
    /// No letter has a lower number.
    private var oldest: UInt64 = 1

    package init(capacity: Int = 1000) { self.capacity = max(1, capacity) }

    package var count: Int { letters.count }
    package var isEmpty: Bool { letters.isEmpty }

    /// Adds a dead letter. - Returns: the number it got, and the letter that had to go for it.
    @discardableResult package mutating func add(
        message: MessageID, command: CommandID? = nil, content: Message, subscription: String, error: LLMgineError,
        encodingError: LLMgineError? = nil,
        attempts: Int, firstAttempt: Duration, lastAttempt: Duration
    ) -> (id: UInt64, evicted: DeadLetter?) {
        let gone = letters.count >= capacity ? removeOldest() : nil
        if gone != nil { evicted += 1 }
        let id = next
        next += 1
        letters[id] = DeadLetter(
            id: id, message: message, command: command, content: content, subscription: subscription, error: error,
            encodingError: encodingError,
            attempts: attempts, firstAttempt: firstAttempt, lastAttempt: lastAttempt)
        return (id, gone)
    }

    /// The oldest letters after the given one, in order.
    package func list(after id: UInt64 = 0, limit: Int = .max) -> [DeadLetter] {
        Array(letters.values.filter { $0.id > id }.sorted { $0.id < $1.id }.prefix(max(0, limit)))
    }

    package subscript(id: UInt64) -> DeadLetter? { letters[id] }

    /// Takes a letter out, to be tried again or thrown away. What fails again comes back as a new letter.
    @discardableResult package mutating func take(_ id: UInt64) -> DeadLetter? { letters.removeValue(forKey: id) }

    /// Puts a letter back that was taken out and could not be tried. It keeps its number; if there is no room any more it goes at once.
    package mutating func restore(_ letter: DeadLetter) {
        guard letters.count < capacity, letter.id < next else {
            evicted += 1
            return
        }
        letters[letter.id] = letter
        oldest = min(oldest, letter.id)
    }

    /// Takes all of them out, oldest first.
    package mutating func takeAll() -> [DeadLetter] {
        let all = list()
        letters.removeAll()
        return all
    }

    private mutating func removeOldest() -> DeadLetter? {
        while oldest < next {
            defer { oldest += 1 }
            if let letter = letters.removeValue(forKey: oldest) { return letter }
        }
        return nil
    }
}
