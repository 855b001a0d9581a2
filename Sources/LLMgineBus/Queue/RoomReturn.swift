/// Gives back the room that a consumer's messages took, in its mailbox and, if they came over a link, in the window of their flow.
///
/// Both cost a synchronised operation, so they are done for several messages at once: for a sixteenth of the queue, at most 64, and after
/// every handler call that took so long that the operations no longer count. ``giveBack()`` does what is left, at the end of a chunk.
struct RoomReturn {
    private let mailbox: Mailbox
    private let credit: (any CreditReturn)?
    private let quota: Int
    private var messages = 0
    private var bytes = 0

    /// Nanoseconds.
    private static let slow: UInt64 = 20_000

    init(_ mailbox: Mailbox, _ credit: (any CreditReturn)? = nil) {
        self.mailbox = mailbox
        self.credit = credit
        self.quota = min(64, mailbox.capacity / 16)
    }

    /// One message is done with. - Parameters: its payload bytes, and how many nanoseconds its handler took.
    @inline(__always)
    mutating func finishedOne(of bytes: Int = 0, after lap: UInt64) {
        mailbox.finishOne()
        messages &+= 1
        self.bytes &+= bytes
        if messages >= quota || lap > RoomReturn.slow { giveBack() }
    }

    /// One message is done with although others count the rest of the queue by now.
    mutating func finishedLate(of bytes: Int = 0) {
        mailbox.finish(1)
        messages &+= 1
        self.bytes &+= bytes
    }

    mutating func giveBack() {
        guard messages > 0 else { return }
        credit?.consumed(messages: messages, bytes: bytes)
        mailbox.finish(0)
        messages = 0
        bytes = 0
    }
}
