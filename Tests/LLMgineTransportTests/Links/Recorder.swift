import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTransport
import LLMgineWire
import NIOCore
import Synchronization

/// Keeps what links report, and lets a test wait for it. Applies grants to the outbox, as a node does.
final class Recorder: LinkDelegate {
    enum Event: Sendable {
        case established(LinkConnection, LinkSession)
        case data(flows: [UInt32], sequences: [UInt64], topics: [Topic])
        case message(Frame, Message)
        case frame(Frame)
        case interest(version: UInt64, hash: UInt64)
        case leaving(Duration)
        case moved
        case closed(LinkClosure, wasEstablished: Bool)
    }

    private struct State {
        var log: [Event] = []
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let ours: (version: UInt64, hash: UInt64)

    init(interest: (version: UInt64, hash: UInt64) = (0, 0)) { ours = interest }

    var log: [Event] { state.withLock { $0.log } }

    /// The first event that the test is after, now or later.
    func first<Result: Sendable>(_ pick: (Event) -> Result?) async -> Result {
        var seen = 0
        while true {
            let log = self.log
            for event in log[seen...] {
                if let result = pick(event) { return result }
            }
            seen = log.count
            await withCheckedContinuation { continuation in
                let hasMore = state.withLock { state in
                    if state.log.count == seen { state.waiters.append(continuation) }
                    return state.log.count > seen
                }
                if hasMore { continuation.resume() }
            }
        }
    }

    private func note(_ event: Event) {
        let waiters = state.withLock { state in
            state.log.append(event)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: What links report

    func linkEstablished(_ link: LinkConnection, session: LinkSession) { note(.established(link, session)) }

    func linkReceived(_ link: LinkConnection, _ data: ReceivedData) throws(LLMgineError) {
        let topics =
            switch data.names {
            case .same(let topic, _): [Topic](repeating: topic, count: data.index.count)
            case .each(let names): names.map(\.topic)
            }
        note(.data(flows: data.flows, sequences: data.index.map(\.sequence), topics: topics))
    }

    func linkAnnounced(_ link: LinkConnection, _ head: FragmentFrame.Head) throws(LLMgineError) -> [UInt32] { head.flows }

    func linkReceived(_ link: LinkConnection, _ frame: Frame, message: Message) throws(LLMgineError) { note(.message(frame, message)) }

    func linkReceived(_ link: LinkConnection, _ frame: Frame) throws(LLMgineError) {
        if case .grant(let grant) = frame {
            _ = link.update {
                $0.granted(flow: grant.flow, grant.priority, Credit(messages: grant.maximumMessages, bytes: grant.maximumBytes))
            }
        }
        if case .cancel(let cancel) = frame, cancel.request == 666 { throw LLMgineError(.creditOverdrawn, "as asked") }
        note(.frame(frame))
    }

    func linkPeerInterest(_ link: LinkConnection, version: UInt64, hash: UInt64) { note(.interest(version: version, hash: hash)) }
    func linkPeerLeaving(_ link: LinkConnection, deadline: Duration) { note(.leaving(deadline)) }
    func linkMoved(_ link: LinkConnection) { note(.moved) }
    func link(continuedBy session: LinkSession) -> LinkConnection? {
        for case .established(let link, let known) in log where known.peer.node == session.peer.node { return link }
        return nil
    }
    func linkInterest(_ link: LinkConnection) -> (version: UInt64, hash: UInt64) { ours }
    func linkClosed(_ link: LinkConnection, _ closure: LinkClosure, wasEstablished: Bool) {
        note(.closed(closure, wasEstablished: wasEstablished))
    }
}

// MARK: What tests wait for

/// How a link ended, as its delegate heard.
struct Ending: Hashable {
    var reason: CloseReason
    var origin: LinkClosure.Origin
    var wasEstablished: Bool
    var detail: String?
}

extension Recorder {
    func established() async -> (link: LinkConnection, session: LinkSession) {
        await first { if case .established(let link, let session) = $0 { (link, session) } else { nil } }
    }

    func ending() async -> Ending {
        await first { event in
            guard case .closed(let closure, let wasEstablished) = event else { return nil }
            return Ending(reason: closure.reason, origin: closure.origin, wasEstablished: wasEstablished, detail: closure.detail)
        }
    }

    /// The sequences of all DATA so far, once so many have come.
    func sequences(_ count: Int) async -> [UInt64] {
        await first { [self] _ in
            let sequences = log.flatMap(\.sequences)
            return sequences.count >= count ? sequences : nil
        }
    }

    var wasEverEstablished: Bool { log.contains { if case .established = $0 { true } else { false } } }
}

extension Recorder.Event {
    var sequences: [UInt64] {
        guard case .data(_, let sequences, _) = self else { return [] }
        return sequences
    }

    var topics: [Topic] {
        guard case .data(_, _, let topics) = self else { return [] }
        return topics
    }
}
