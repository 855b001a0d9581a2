package import LLMgineCore
package import LLMgineWire

import struct NIOCore.ByteBuffer

/// Puts requests and replies together that came in parts, at the receiving end of a link.
///
/// It holds no byte that nobody waits for: a request once its responder's slot is taken, up to its deadline, a reply while its request is open. The rest is
/// followed to its end. All that is under way may announce 32 MiB at most, or be only one. When the link ends, it goes with it.
package struct CallAssembly: Sendable {
    /// What a part has led to.
    package enum Outcome: Sendable, Equatable {
        /// There is more to come, or nobody wants it.
        case open
        /// The frame, as it would have come by itself, with what is left of the deadline.
        case complete(CallPartFrame.Whole)
        /// The peer sends no more of it.
        case givenUp(CallPartFrame.Head)
        /// A request is complete, and nobody waits for its answer any more.
        case expired(CallPartFrame.Head)
    }

    fileprivate struct Partial: Sendable {
        let head: CallPartFrame.Head
        var isKept: Bool
        let since: Duration
        var received: UInt64
        var bytes = ByteBuffer()

        /// When the requester gives up.
        var expires: Duration? {
            if case .request(let request) = head.frame { since + request.deadline } else { nil }
        }
    }

    private var open: [CallPartFrame.Call: Partial] = [:]
    private var announced: UInt64 = 0

    /// Holds nothing.
    package init() {}

    /// How many are under way.
    package var count: Int { open.count }
    /// Bytes that are held.
    package var bytes: Int { open.values.reduce(0) { $0 + $1.bytes.readableBytes } }

    /// Looks at the first part, before anything is taken for it.
    /// - Throws: `malformedFrame` if it cannot be right, `limitExceeded` for one longer than agreed, or one too many.
    package func check(_ part: CallPartFrame, _ head: CallPartFrame.Head, limits: WireLimits) throws(LLMgineError) {
        guard open[part.call] == nil else { throw LLMgineError(.malformedFrame, "CALL_PART: \(part.call) begins twice") }
        guard head.length <= UInt64(limits.maximumFrame) else {
            throw LLMgineError(.limitExceeded, "CALL_PART: a message of \(head.length) bytes is longer than agreed")
        }
        guard UInt64(part.bytes.readableBytes) < head.length else {
            throw LLMgineError(.malformedFrame, "CALL_PART: the first part of a message holds all of it")
        }
        guard open.isEmpty || open.count < WireLimits.openCalls && announced + head.length <= UInt64(WireLimits.openCallBytes) else {
            throw LLMgineError(.limitExceeded, "CALL_PART: more under way at once than may be")
        }
    }

    /// Takes the first part, which was checked. - Parameter isKept: whether somebody waits for it.
    package mutating func begin(_ part: CallPartFrame, _ head: CallPartFrame.Head, isKept: Bool, at now: Duration) {
        announced += head.length
        var partial = Partial(head: head, isKept: isKept, since: now, received: UInt64(part.bytes.readableBytes))
        if isKept { partial.bytes.writeImmutableBuffer(part.bytes) }
        open[part.call] = partial
    }

    /// Takes a later part. - Throws: `malformedFrame` for a part of nothing, or more or fewer bytes than were announced.
    package mutating func proceed(_ part: CallPartFrame, at now: Duration) throws(LLMgineError) -> Outcome {
        guard var partial = open.removeValue(forKey: part.call) else {
            throw LLMgineError(.malformedFrame, "CALL_PART: a part of \(part.call), of which there is no beginning")
        }
        announced -= partial.head.length
        if part.part == .givenUp { return partial.isKept || partial.expires != nil ? .givenUp(partial.head) : .open }
        partial.received += UInt64(part.bytes.readableBytes)  // both are at most what arrived
        let isLast = part.part == .last
        guard isLast ? partial.received == partial.head.length : partial.received < partial.head.length else {
            throw LLMgineError(
                .malformedFrame, "CALL_PART: \(partial.received) bytes of \(part.call), announced were \(partial.head.length)")
        }
        if partial.isKept { partial.bytes.writeImmutableBuffer(part.bytes) }
        guard isLast else {
            announced += partial.head.length
            open[part.call] = partial
            return .open
        }
        return partial.outcome(at: now)
    }

    /// Holds nothing more of requests whose time is over. They are told of when they end.
    package mutating func expire(at now: Duration) {
        for (call, partial) in open {
            guard partial.isKept, let expires = partial.expires, expires <= now else { continue }
            open[call]?.isKept = false
            open[call]?.bytes = ByteBuffer()
        }
    }

    /// Nothing else of an answer may come while a message of it is under way. - Throws: `malformedFrame`.
    package func permits(replyTo request: UInt64) throws(LLMgineError) {
        guard open.isEmpty || open[.reply(request)] == nil else {
            throw LLMgineError(.malformedFrame, "CALL_PART: an answer was overtaken by its own end")
        }
    }
}

extension CallAssembly.Partial {
    fileprivate func outcome(at now: Duration) -> CallAssembly.Outcome {
        if let expires, expires <= now { return .expired(head) }
        guard isKept else { return .open }
        var head = head
        if case .request(var request) = head.frame {
            request.deadline = max(.zero, request.deadline - (now - since))
            head.frame = .request(request)
        }
        return .complete(head.completed(with: bytes))
    }
}
