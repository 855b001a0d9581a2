/// What a publisher may still send on one flow.
///
/// Grants are absolute, as in QUIC: the newest counts, a repeated or late one changes nothing, and none can be lost for good.
package struct CreditPurse: Sendable, Hashable {
    /// The limits that the subscriber has granted.
    package private(set) var granted: Credit
    /// What was sent since the start of the link.
    package private(set) var sent = Credit.none

    /// Starts with the grant that comes with the subscription.
    package init(granted: Credit) { self.granted = granted }

    /// What may be sent now.
    package var room: Credit {
        Credit(messages: granted.messages - sent.messages, bytes: granted.bytes - sent.bytes)
    }

    /// Takes a grant. A lower limit than before is ignored: grants only grow.
    package mutating func granted(_ limit: Credit) {
        granted.messages = max(granted.messages, limit.messages)
        granted.bytes = max(granted.bytes, limit.bytes)
    }

    /// Gives back what was granted and not used: it counts as sent. - Returns: what counts as sent now.
    package mutating func giveBack() -> Credit {
        sent = granted
        return sent
    }

    /// Spends credit. False, and nothing spent, if there is not enough of both.
    package mutating func spend(messages: Int, bytes: Int) -> Bool {
        guard let messages = UInt64(exactly: messages), let bytes = UInt64(exactly: bytes) else { return false }
        guard messages <= room.messages, bytes <= room.bytes else { return false }
        sent.messages += messages
        sent.bytes += bytes
        return true
    }
}
