import DequeModule
import LLMgineCore
import LLMgineFlow
import LLMgineWire

extension Outbox {
    /// One subscription of the peer.
    struct Flow {
        let id: UInt32
        let whenFull: WhenFull
        /// Publishers do not wait for it, whatever its policy is.
        var isDemoted = false
        /// Counts what shows that it is not stuck: credit that came, and times that one of its queues began to turn publishers away.
        var turn: UInt64 = 0
        /// Whether whoever sends does not wait while it is full, but keeps the event elsewhere.
        private let isKeptElsewhere: Bool
        private let isWaitedFor: Bool
        /// Whether what comes while it is full is refused.
        let isRefusing: Bool

        init(id: UInt32, whenFull: WhenFull) {
            self.id = id
            self.whenFull = whenFull
            // The policy may be long to copy, and is asked of every message while any flow is full.
            if case .spill = whenFull { isKeptElsewhere = true } else { isKeptElsewhere = false }
            isWaitedFor = whenFull.blockDeadline != nil
            isRefusing = whenFull == .rejectNew
        }

        /// Whether publishers wait for it while it is full.
        var holdsPublishers: Bool { isKeptElsewhere || (isWaitedFor && !isDemoted) }
    }

    /// What waits for one flow in one class, and the credit for it.
    struct Queue {
        var pieces: Deque<Piece> = []
        var purse = CreditPurse(granted: .none)
        /// Whether the peer knows that there is too little.
        var saidBlocked = false
        private(set) var messages = 0
        private(set) var bytes = 0
        /// Messages of the first piece that were evicted and are still counted in `bytes`. Where the next one begins is not looked for before
        /// somebody asks: a queue that no credit comes for evicts one for each that is appended, and drops its pieces whole.
        private var evicted = 0
        /// Messages evicted since the last one that was sent.
        var gap = 0
        /// Messages whose time was over, since then.
        var expired = 0
        /// Whether the flow has its turn coming.
        var isReady = false
        /// The message that is on its way in parts, which the others must not overtake; 0 for none.
        var parcel = 0
        /// Whether a publisher waits for room.
        var hasTurnedAway = false
        /// How publishers are slowed; nil if they need not be.
        var pace: GrantPace?
        /// What waits for credit and may be superseded; nil if nothing ever was.
        var held: HeldQueue?

        /// Whether a message of so many bytes has no room. An empty queue takes any one message.
        func isFull(_ limits: Limits, adding bytes: Int) -> Bool {
            messages >= limits.messages || (messages > 0 && self.bytes + bytes > limits.bytes)
        }

        /// Publishers are called back no sooner, so that one of them does not come back for each message that goes out.
        func isHalfEmpty(_ limits: Limits) -> Bool { messages <= limits.messages / 2 && bytes <= limits.bytes / 2 }

        mutating func count(messages: Int, bytes: Int) {
            self.messages += messages
            self.bytes += bytes
        }

        /// Lets the oldest messages go until one of so many bytes has room. - Returns: how many went.
        mutating func makeRoom(_ limits: Limits, adding bytes: Int) -> Int {
            var went = 0
            while isFull(limits, adding: bytes) {
                if messages < limits.messages, settle() { continue }  // it may be full of bytes that are gone
                guard evictOldest() else { break }
                went += 1
            }
            return went
        }

        /// False when there is none.
        private mutating func evictOldest() -> Bool {
            guard let first = pieces.first else { return false }
            messages -= 1
            evicted += 1
            gap += 1
            if evicted == first.count {
                bytes -= first.length
                evicted = 0
                removeFirst()
            }
            return true
        }

        /// Finds out where the oldest message begins, which is to be done before it is looked at. False if that was known.
        @discardableResult
        mutating func settle() -> Bool {
            guard evicted > 0, let cut = pieces.first?.first(evicted) else { return false }
            pieces[0].skip(cut)
            bytes -= cut.bytes
            evicted = 0
            return true
        }

        /// Lets the oldest messages go whose time is over, up to the first that has some left.
        mutating func expire(at now: Duration) {
            settle()
            while let piece = pieces.first, piece.isExpired(at: now), let cut = piece.first(1) {
                dropFirst(cut)
                expired += 1
            }
        }

        /// The first messages are sent, or their time is over.
        mutating func dropFirst(_ cut: MessageCut) {
            count(messages: -cut.messages, bytes: -cut.bytes)
            pieces[0].skip(cut)
            if pieces[0].count == 0 { removeFirst() }
        }

        private mutating func removeFirst() {
            pieces[0].chunk.close()  // what came into it now would be in no queue of ours
            pieces.removeFirst()
        }

        /// The chunks were encoded anew.
        mutating func recount() {
            bytes = 0
            for position in pieces.indices {
                pieces[position].recount()
                bytes += pieces[position].length
            }
        }
    }

    /// The open chunks of one set of flows, by class.
    struct Lane {
        let ids: [UInt32]
        let slots: [Int]
        var open = InlineArray<4, Chunk?>(repeating: nil)
        /// What the last chunk came to: a good guess for the next.
        var expected = 1024

        init(ids: [UInt32], slots: [Int]) {
            self.ids = ids
            self.slots = slots
        }
    }

    /// Where the last message of a topic went.
    struct Trail {
        /// The set of flows: a hint, to be compared.
        var lane = 0
        /// The latest chunk that holds a message of it, of any class.
        var serial: UInt64 = 0
    }
}
