package import LLMgineWire

/// What the shell of a link has to do, in the order given.
package enum LinkAction: Sendable, Hashable {
    /// Write the frame.
    case send(Frame)
    /// The peer is who it says it is: raise the decoder's frame limit to the session's and tell the broker. Comes at most once.
    case established(LinkSession)
    /// Hand the frame to the broker. DATA, REQUEST and REPLY still need their messages indexed.
    case deliver(Frame)
    /// Inflate the run and have the decoder cut it next. Comes only where both ends have offered compression.
    case inflate(CompressedFrame)
    /// The peer says which interest of its own we should know: compare, and ask if we do not.
    case peerInterest(version: UInt64, hash: UInt64)
    /// The peer sends nothing more on this connection: what follows comes on the one that continues the link.
    case peerMoved
    /// The peer wants no new work and closes within the time.
    case peerLeaving(deadline: Duration)
    /// Flush what was sent, close the connection, tell the broker. Comes exactly once, and nothing after it.
    case close(LinkClosure)
}
