package import struct LLMgineCore.LLMgineError
package import struct LLMgineCore.NodeID

/// One responder subscription: on a link, or local.
package struct ResponderID: Sendable, Hashable {
    package let link: LinkID
    package let flow: UInt32

    package init(link: LinkID, flow: UInt32) {
        self.link = link
        self.flow = flow
    }
}

/// What becomes of a request. Each gets exactly one `fail`, or one `true` from `finished`.
package enum RequestAction: Sendable, Hashable {
    /// Send it, or run it if it is local.
    case dispatch(UInt64, to: ResponderID, node: NodeID)
    /// It waits for a responder to have room.
    case queued(UInt64)
    /// It is over for the caller.
    case fail(UInt64, LLMgineError)
    /// Nobody waits for its answer any more: the responder may stop.
    case cancel(UInt64, at: ResponderID)
}
