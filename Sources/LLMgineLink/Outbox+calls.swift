import DequeModule
package import LLMgineCore
package import LLMgineWire

import struct NIOCore.ByteBuffer
import struct NIOCore.ByteBufferAllocator

// Long requests and replies go out in parts.
extension Outbox {
    /// A request or an answer of which something long is on its way, and what must not overtake it.
    struct CallLine {
        let call: CallPartFrame.Call
        /// The class in which its parts take turns.
        let index: Int
        /// When the requester gives up, of a request.
        let expires: Duration?
        /// In order; the first is long, and leaves when its last part goes.
        var frames: Deque<Frame>
        /// Whether it has its turns: the peer allows as much to be under way.
        var isAdmitted = false
        /// What is still to be sent of the first; nil before it has begun.
        var rest: ByteBuffer?
    }

    /// In ``ready``, the complement of a number from here on stands for the line of a call: no parcel has one so high.
    static let firstCall = 1 << 48

    /// Puts a request in line, or what belongs to the answer of one: ahead of all data, unless it is long, or belongs behind something that is.
    /// - Parameters:
    ///   - priority: the class in which the parts of a long one take turns.
    ///   - now: the time, for a frame that ``LLMgineWire/Frame/isLongCall``; any other has no use for it.
    package mutating func send(call frame: Frame, _ priority: Priority = .normal, at now: Duration = .zero) {
        guard cutsCalls, !calls.isEmpty || frame.isLongCall else { return send(frame) }
        if case .cancel(let cancel) = frame {
            if !giveUp(.request(cancel.request)) { send(frame) }
            return
        }
        guard let call = frame.call else { return send(frame) }
        if let number = callNumbers[call] {
            calls[number]?.frames.append(frame)
        } else if frame.isLongCall {
            open(CallLine(call: call, index: Int(priority.rawValue), expires: frame.deadline.map { now + $0 }, frames: [frame]))
        } else {
            send(frame)
        }
    }

    /// How many requests and replies are in line to go in parts.
    package var longCalls: Int { calls.count }

    private mutating func open(_ line: CallLine) {
        lastCall += 1
        calls[lastCall] = line
        callNumbers[line.call] = lastCall
        if line.expires != nil { hasDeadlines = true }
        heldCalls.append(lastCall)
        admitCalls()
    }

    /// Gives lines their turns, in the order in which they came, as far as the peer allows so much to be under way.
    private mutating func admitCalls() {
        while let number = heldCalls.first {
            guard let line = calls[number] else {  // given up
                heldCalls.removeFirst()
                continue
            }
            guard openCalls == 0 || openCalls < WireLimits.openCalls - 1 && openCallBytes + line.bytes <= WireLimits.openCallBytes
            else { return }
            heldCalls.removeFirst()
            openCalls += 1
            openCallBytes += line.bytes
            calls[number]?.isAdmitted = true
            ready[line.index].append(~number)
        }
    }

    /// Nobody has a use for it any more. What has begun is ended; a request that has not is begun all the same, with as little as can be, since
    /// it has taken a slot of the responder, which only the responder can give back.
    /// - Returns: whether there was anything.
    @discardableResult
    package mutating func giveUp(_ call: CallPartFrame.Call) -> Bool {
        guard let number = callNumbers.removeValue(forKey: call), let line = calls.removeValue(forKey: number) else { return false }
        if line.isAdmitted { dismiss(line) }
        if line.rest == nil {
            guard case .request(let request)? = line.frames.first else { return true }
            let head = CallPartFrame.Head(frame: .request(request.withoutMessage), length: 2)
            send(.callPart(CallPartFrame(call, .first(head), bytes: ByteBuffer(bytes: [0]))))
        }
        send(.callPart(CallPartFrame(call, .givenUp)))
        return true
    }

    // MARK: Parts

    /// Sends one part of what stands first in a line, which then waits for its next turn, and what was held up by it once it is complete.
    mutating func sendCallPart(_ number: Int, into drained: inout Drained) {
        guard let line = calls[number], line.isAdmitted else { return }  // given up
        for buffer in nextCallPart(number) {
            drained.bytes += buffer.readableBytes
            drained.buffers.append(buffer)
        }
        if calls[number]?.isAdmitted ?? false { ready[line.index].append(~number) }
    }

    /// The next part as a frame that fills a TLS record; behind the last one what waited for it and is short.
    private mutating func nextCallPart(_ number: Int) -> [ByteBuffer] {
        guard var line = calls[number], let frame = line.frames.first, let message = frame.callMessage else { return [] }
        var part = CallPartFrame.Part.between
        if line.rest == nil {
            line.rest = message
            part = .first(CallPartFrame.Head(frame: frame.callHead(expires: line.expires, at: now), length: UInt64(message.readableBytes)))
        }
        let length = min(Chunk.recordBytes - Outbox.callPartHeader, line.rest?.readableBytes ?? 0)
        let bytes = line.rest?.readSlice(length: length) ?? ByteBuffer()
        let isLast = line.rest?.readableBytes == 0
        var buffer = ByteBufferAllocator().buffer(capacity: length + Outbox.callPartHeader)
        CallPartFrame.writeHeader(line.call, isLast ? .last : part, partLength: length, into: &buffer)
        buffer.writeImmutableBuffer(bytes)
        guard isLast else {
            calls[number] = line
            return [buffer]
        }
        return [buffer] + completed(line, number)
    }

    /// 4 length, 2 type and flags, 1 kind, 10 request, 1 part; 5 flow, 6 deadline, 10 and 10 reply room, 10 length.
    private static let callPartHeader = 59

    /// What is under way has become less.
    private mutating func dismiss(_ line: CallLine) {
        openCalls -= 1
        openCallBytes -= line.bytes
        admitCalls()
    }

    /// The first frame of a line is gone. - Returns: the short ones that come next. The line ends with them, or asks for another turn.
    private mutating func completed(_ line: CallLine, _ number: Int) -> [ByteBuffer] {
        var rest = line
        rest.frames.removeFirst()
        rest.rest = nil
        rest.isAdmitted = false
        var buffers: [ByteBuffer] = []
        while let next = rest.frames.first, !next.isLongCall {
            var buffer = ByteBuffer()
            next.write(into: &buffer)
            buffers.append(buffer)
            rest.frames.removeFirst()
        }
        if rest.frames.isEmpty {
            calls[number] = nil
            callNumbers[line.call] = nil
        } else {
            calls[number] = rest
            heldCalls.append(number)
        }
        dismiss(line)
        return buffers
    }

    /// Sends what is left of all of them ahead of everything that follows. None holds up another: once nothing is under way, anything may be.
    mutating func finishCalls() {
        while let number = calls.filter({ $0.value.isAdmitted }).keys.min() {
            for var buffer in nextCallPart(number) { control.writeBuffer(&buffer) }
        }
        heldCalls.removeAll()
    }
}

extension Outbox.CallLine {
    /// Bytes of the message that goes first.
    fileprivate var bytes: Int { frames.first?.callMessage?.readableBytes ?? 0 }
}

extension Frame {
    /// Whether it is a request or reply that goes in parts where both ends know how: one that is longer than a TLS record.
    package var isLongCall: Bool { (callMessage?.readableBytes ?? 0) > Outbox.Chunk.recordBytes }

    /// The message of a request or reply.
    fileprivate var callMessage: ByteBuffer? {
        switch self {
        case .request(let request): request.message
        case .reply(let reply): reply.message
        default: nil
        }
    }

    /// What it must not overtake.
    fileprivate var call: CallPartFrame.Call? {
        switch self {
        case .request(let request): .request(request.request)
        case .reply(let reply): .reply(reply.request)
        case .replyError(let failure): .reply(failure.request)
        default: nil
        }
    }

    fileprivate var deadline: Duration? {
        if case .request(let request) = self { request.deadline } else { nil }
    }

    /// The frame without its message, with what is left of the deadline.
    fileprivate func callHead(expires: Duration?, at now: Duration) -> CallPartFrame.Whole {
        switch self {
        case .request(var request):
            if let expires { request.deadline = max(.zero, min(request.deadline, expires - now)) }
            return .request(request.withoutMessage)
        case .reply(var reply):
            reply.message = ByteBuffer()
            return .reply(reply)
        default: preconditionFailure("a frame that is no request or reply has no parts")
        }
    }
}

extension RequestFrame {
    fileprivate var withoutMessage: RequestFrame {
        var request = self
        request.message = ByteBuffer()
        return request
    }
}
