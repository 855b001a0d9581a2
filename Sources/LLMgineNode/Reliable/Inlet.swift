import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineTransport
import LLMgineWire
import NIOCore
import Synchronization

/// Where events come in for one subscription that has them at least once, whatever link brings them.
///
/// It hands each on to the subscription one by one and not in chunks, because each is acknowledged on its own; so such an event costs about a
/// microsecond more than others.
final class Inlet: Sendable {
    private let subscriber: AnySubscriber
    private let timers: TimerQueue
    private let state: Mutex<State>
    private let count: @Sendable (UInt64) -> Void

    private struct State {
        var intake: DeliveryIntake
        /// Links that brought something.
        var links: [UInt64: PeerLink] = [:]
        /// Links over which an acknowledgement is due soon.
        var timed: Set<UInt64> = []
        /// Whether nothing waits for others to be acknowledged with, because the subscription is about to end.
        var isEnding = false
    }

    /// - Parameter onDuplicates: is told how many events came again.
    init(_ subscriber: AnySubscriber, _ options: AtLeastOnce, timers: TimerQueue, onDuplicates count: @escaping @Sendable (UInt64) -> Void)
    {
        self.subscriber = subscriber
        self.timers = timers
        self.count = count
        let window = DeduplicationWindow(ids: options.deduplicationIDs, age: options.deduplicationAge)
        state = Mutex(State(intake: DeliveryIntake(window: window)))
    }

    /// Messages came over a link, in the flow's credit.
    /// - Parameter refused: where among them there were others that the peer had no right to publish.
    func received(_ chunk: WireChunk, over link: PeerLink, in flow: InboundClass, refused: Set<Int> = []) {
        let number = link.connection.id
        var index = 0
        for position in 0..<(chunk.count + refused.count) {
            guard !refused.contains(position) else {
                let due = state.withLock { state in
                    state.links[number] = link
                    return state.intake.refused(over: number, priority: chunk.priority)
                }
                say(over: number, due)
                continue
            }
            defer { index += 1 }
            let inbound = chunk.message(at: index)
            let delivery = InletDelivery(inbound, from: chunk, in: flow, through: self)
            let (arrival, due) = state.withLock { state in
                state.links[number] = link
                return state.intake.arrived(delivery.id, over: number, priority: chunk.priority, at: Inlet.now)
            }
            switch arrival {
            case .deliver:
                guard !subscriber.deliver(InboundDelivery(chunk: delivery, credit: delivery)) else { continue }
                returned(delivery.id)
                flow.consumed(messages: 1, bytes: inbound.encodedBytes)
            case .underWay, .duplicate:
                count(1)
                flow.consumed(messages: 1, bytes: inbound.encodedBytes)
                say(over: number, due)
            }
        }
    }

    /// The subscription is done with an event, well or badly.
    fileprivate func finished(_ id: MessageID) {
        if subscriber.unhandledEvents?.take(id) ?? false { return returned(id) }
        for (link, due) in state.withLock({ $0.intake.settled(id) }) { say(over: link, due) }
    }

    private func returned(_ id: MessageID) { state.withLock { $0.intake.returned(id) } }

    /// The subscription takes no more events. What its handler is at work on is still acknowledged, each at once.
    func ending() {
        let links = state.withLock { state in
            state.isEnding = true
            return Array(state.links.keys)
        }
        for link in links { acknowledge(over: link) }
    }

    func linkEnded(_ link: PeerLink) {
        state.withLock { state in
            state.links[link.connection.id] = nil
            state.intake.linkEnded(link.connection.id)
        }
    }

    // MARK: Acknowledging

    private func say(over link: UInt64, _ due: DeliveryIntake.Due) {
        switch due {
        case .not: if state.withLock({ $0.isEnding }) { acknowledge(over: link) }
        case .now: acknowledge(over: link)
        case .soon:
            let (waits, isEnding) = state.withLock { ($0.timed.insert(link).inserted, $0.isEnding) }
            if isEnding { return acknowledge(over: link) }
            guard waits else { return }
            timers.schedule(at: .now + DeliveryIntake.ackDelay) { [weak self] in
                _ = self?.state.withLock { $0.timed.remove(link) }
                self?.acknowledge(over: link)
            }
        }
    }

    private func acknowledge(over number: UInt64) {
        // Sent under the lock: what was taken first must be said first, or the ranges of an older one would be news.
        state.withLock { state in
            guard let link = state.links[number] else { return }
            for (priority, ack) in state.intake.takeAcknowledgements(over: number) {
                link.connection.send(.ack(AckFrame(flow: subscriber.id, priority: priority, upTo: ack.upTo, beyond: ack.beyond)))
            }
        }
    }

    private static var now: Duration { .nanoseconds(Int64(clamping: SystemClock.monotonicNanoseconds())) }
}

/// One event on its way through an inlet: a chunk of one, whose credit goes back when the event is settled.
private final class InletDelivery: InboundChunk, CreditReturn {
    private let inbound: InboundMessage
    private let flow: InboundClass
    private let inlet: Inlet
    let id: MessageID
    let priority: Priority

    init(_ inbound: InboundMessage, from chunk: WireChunk, in flow: InboundClass, through inlet: Inlet) {
        // An event of an earlier life of its node has the identity that it had there.
        let origin = inbound.origin.flatMap { $0.node == chunk.node ? $0 : nil }
        var inbound = inbound
        inbound.origin = origin == nil ? inbound.origin : nil
        inbound.sequence = origin?.sequence ?? inbound.sequence
        self.inbound = inbound
        self.flow = flow
        self.inlet = inlet
        id = MessageID(node: chunk.node, incarnation: origin?.incarnation ?? chunk.incarnation, sequence: inbound.sequence)
        priority = chunk.priority
    }

    var count: Int { 1 }
    var node: NodeID { id.node }
    var incarnation: Incarnation { id.incarnation }
    var common: Message? { nil }
    func content(at index: Int) -> (payload: ByteBuffer, sequence: UInt64) { (inbound.message.payload, inbound.sequence) }
    func message(at index: Int) -> InboundMessage { inbound }

    func consumed(messages: Int, bytes: Int) {
        inlet.finished(id)
        flow.consumed(messages: messages, bytes: bytes)
    }
}
