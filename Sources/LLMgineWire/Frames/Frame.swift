/// One frame, as it came or as it goes.
///
/// The bodies that are large or rare sit in a box, so that the enum stays within the 24 bytes that NIO passes along a pipeline without an allocation.
package enum Frame: Sendable, Hashable {
    // The link
    indirect case hello(HelloFrame)
    indirect case reject(RejectFrame)
    indirect case ping(PingFrame)
    case pong(PongFrame)
    case leaving(LeavingFrame)
    indirect case goodbye(GoodbyeFrame)
    case moved(MovedFrame)
    case renew(RenewFrame)
    indirect case compressed(CompressedFrame)

    // Interest
    indirect case interest(InterestFrame)
    case interestAck(InterestAckFrame)
    case interestWanted(InterestWantedFrame)

    // Events
    indirect case intern(InternFrame)
    indirect case data(DataFrame)
    indirect case grant(GrantFrame)
    indirect case blocked(BlockedFrame)
    case gap(GapFrame)
    indirect case fragment(FragmentFrame)
    case drain(DrainFrame)
    indirect case drained(DrainedFrame)
    indirect case ack(AckFrame)

    // Requests
    indirect case request(RequestFrame)
    indirect case reply(ReplyFrame)
    indirect case replyError(ReplyErrorFrame)
    indirect case replyCredit(ReplyCreditFrame)
    case cancel(CancelFrame)
    indirect case callPart(CallPartFrame)

    // Membership
    indirect case gossip(GossipFrame)

    /// A frame of a later version that may be skipped. Never written.
    case unknown(UInt8)

    /// The kind of the frame, nil for an unknown one.
    package var type: FrameType? {
        switch self {
        case .hello: .hello
        case .reject: .reject
        case .ping: .ping
        case .pong: .pong
        case .leaving: .leaving
        case .goodbye: .goodbye
        case .moved: .moved
        case .renew: .renew
        case .compressed: .compressed
        case .interest: .interest
        case .interestAck: .interestAck
        case .interestWanted: .interestWanted
        case .intern: .intern
        case .data: .data
        case .grant: .grant
        case .blocked: .blocked
        case .gap: .gap
        case .fragment: .fragment
        case .drain: .drain
        case .drained: .drained
        case .ack: .ack
        case .request: .request
        case .reply: .reply
        case .replyError: .replyError
        case .replyCredit: .replyCredit
        case .cancel: .cancel
        case .callPart: .callPart
        case .gossip: .gossip
        case .unknown: nil
        }
    }
}

/// The second field of every frame.
package enum FrameType: UInt8, Sendable, Hashable, CaseIterable {
    case hello = 0x01
    case reject = 0x02
    case ping = 0x03
    case pong = 0x04
    case leaving = 0x05
    case goodbye = 0x06
    case moved = 0x07
    case renew = 0x08
    case compressed = 0x09
    case interest = 0x10
    case interestAck = 0x11
    case interestWanted = 0x12
    case intern = 0x20
    case data = 0x21
    case grant = 0x22
    case blocked = 0x23
    case ack = 0x25
    case gap = 0x26
    case fragment = 0x27
    case drain = 0x28
    case drained = 0x29
    case request = 0x30
    case reply = 0x31
    case replyError = 0x32
    case replyCredit = 0x33
    case cancel = 0x34
    case callPart = 0x35
    case gossip = 0x40

    /// The name as the protocol description writes it, for logs.
    package var name: String {
        switch self {
        case .hello: "HELLO"
        case .reject: "REJECT"
        case .ping: "PING"
        case .pong: "PONG"
        case .leaving: "LEAVING"
        case .goodbye: "GOODBYE"
        case .moved: "MOVED"
        case .renew: "RENEW"
        case .compressed: "COMPRESSED"
        case .interest: "INTEREST"
        case .interestAck: "INTEREST_ACK"
        case .interestWanted: "INTEREST_WANTED"
        case .intern: "INTERN"
        case .data: "DATA"
        case .grant: "GRANT"
        case .blocked: "BLOCKED"
        case .ack: "ACK"
        case .gap: "GAP"
        case .fragment: "FRAGMENT"
        case .drain: "DRAIN"
        case .drained: "DRAINED"
        case .request: "REQUEST"
        case .reply: "REPLY"
        case .replyError: "REPLY_ERROR"
        case .replyCredit: "REPLY_CREDIT"
        case .cancel: "CANCEL"
        case .callPart: "CALL_PART"
        case .gossip: "GOSSIP"
        }
    }

    /// Whether the frame may be part of a run in COMPRESSED: what the node says may, what the link itself says is never held up by anything.
    package var mayBeCompressed: Bool {
        switch self {
        case .hello, .reject, .ping, .pong, .leaving, .goodbye, .moved, .compressed: false
        case .renew, .interest, .interestAck, .interestWanted, .intern, .data, .grant, .blocked, .ack, .gap, .fragment, .drain, .drained,
            .request, .reply, .replyError, .replyCredit, .cancel, .callPart, .gossip:
            true
        }
    }
}
