package import LLMgineCore

/// What a subscriber has granted one publisher on one flow, and what came of it.
///
/// A grant is owed once half of the window is free again, so a busy link carries one GRANT per half window and not one per message.
package struct CreditLedger: Sendable, Hashable {
    /// How much may be on its way or queued at once.
    package let window: Credit
    /// The limits granted so far.
    package private(set) var granted: Credit
    /// What arrived since the start of the link.
    package private(set) var received = Credit.none
    /// What was dealt with.
    package private(set) var consumed = Credit.none

    /// Starts with one window granted.
    package init(window: Credit) {
        self.window = window
        self.granted = window
    }

    /// Counts what arrived.
    /// - Throws: `creditOverdrawn` if it is more than was granted: the peer breaks the protocol.
    package mutating func received(messages: Int, bytes: Int) throws(LLMgineError) {
        received.messages &+= UInt64(max(0, messages))
        received.bytes &+= UInt64(max(0, bytes))
        guard received.messages <= granted.messages, received.bytes <= granted.bytes else {
            throw LLMgineError(
                .creditOverdrawn,
                "the peer sent \(received.messages) messages of \(received.bytes) bytes, granted were \(granted.messages) of \(granted.bytes)"
            )
        }
    }

    /// Counts what was dealt with. - Returns: the grant that is owed now, if one is.
    package mutating func consumed(messages: Int, bytes: Int) -> Credit? {
        consumed.messages &+= UInt64(max(0, messages))
        consumed.bytes &+= UInt64(max(0, bytes))
        let owed = limit
        guard owed.messages - granted.messages >= max(1, window.messages / 2) || owed.bytes - granted.bytes >= max(1, window.bytes / 2)
        else { return nil }
        granted = owed
        return owed
    }

    /// The peer says that it cannot go on. - Returns: everything that can be granted now.
    package mutating func blocked() -> Credit {
        granted = limit
        return granted
    }

    /// What is on its way, queued or being handled.
    package var outstanding: Credit {
        Credit(messages: received.messages &- consumed.messages, bytes: received.bytes &- consumed.bytes)
    }

    private var limit: Credit {
        Credit(
            messages: max(granted.messages, consumed.messages &+ window.messages), bytes: max(granted.bytes, consumed.bytes &+ window.bytes)
        )
    }
}
