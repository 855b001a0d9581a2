import DequeModule
import LLMgineCore
import LLMgineFlow
import LLMgineWire

extension Outbox {
    /// One subscription of the peer.
    struct Flow {
        let id: UInt32
        let whenFull: WhenFull
        var isDemoted = false

        init(id: UInt32, whenFull: WhenFull) {
            self.id = id
            self.whenFull = whenFull
        }

        /// Whether publishers wait for it while it is full.
        var holdsPublishers: Bool {
            if case .spill = whenFull { return true }  // whoever sends does not wait, but keeps it elsewhere
            return whenFull.blockDeadline != nil && !isDemoted
        }
    }

    /// What waits for one flow in one class, and the credit for it.
    struct Queue {
        var pieces: Deque<Piece> = []
        var purse = CreditPurse(granted: .none)
        /// Whether the peer knows that there is too little.
        var saidBlocked = false
        private(set) var messages = 0
        private(set) var bytes = 0
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

        /// Lets the oldest message go. False when there is none.
        mutating func evictOldest() -> Bool {
            guard let cut = pieces.first?.first(1) else { return false }
            dropFirst(cut)
            gap += 1
            return true
        }

        /// Lets the oldest messages go whose time is over, up to the first that has some left.
        mutating func expire(at now: Duration) {
            while let piece = pieces.first, piece.isExpired(at: now), let cut = piece.first(1) {
                dropFirst(cut)
                expired += 1
            }
        }

        /// The first messages are sent or evicted.
        mutating func dropFirst(_ cut: MessageCut) {
            count(messages: -cut.messages, bytes: -cut.bytes)
            pieces[0].skip(cut)
            guard pieces[0].count == 0 else { return }
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
