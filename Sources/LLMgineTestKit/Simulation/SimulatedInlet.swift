import LLMgineBroker
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineWire
import NIOCore

/// Where events come in for one subscription that has them at least once, whatever link brings them: `Inlet` of the node around the real intake.
final class SimulatedInlet {
    private unowned let subscription: SimulatedSubscription
    private var intake: DeliveryIntake
    private var links: [UInt64: SimulatedLink] = [:]
    private var timed: Set<UInt64> = []
    private var isEnding = false

    init(_ subscription: SimulatedSubscription) {
        self.subscription = subscription
        // One that forgets at once.
        let age: Duration = subscription.node.simulation.broken == .forgetsDuplicates ? .zero : .seconds(600)
        intake = DeliveryIntake(window: DeduplicationWindow(ids: 1 << 14, age: age))
    }

    private var node: SimulatedNode { subscription.node }
    private var simulation: Simulation { node.simulation }

    /// Messages came over a link, in the flow's credit.
    func received(_ chunk: ReceivedChunk, in credit: InboundCredit, for account: ReliableAccount) {
        let number = chunk.link.id.value
        links[number] = chunk.link
        for entry in chunk.index.entries {
            let sequence = chunk.index.sequence(of: entry)
            let id = MessageID(node: chunk.link.peer.name, incarnation: chunk.link.peer.incarnation, sequence: sequence)
            let delivery = ReliableDelivery(
                id: id, account: account, payload: chunk.index.payload(of: entry), priority: chunk.priority, credit: credit)
            let (arrival, due) = intake.arrived(id, over: number, priority: chunk.priority, at: node.now)
            switch arrival {
            case .deliver:
                subscription.deliver(delivery)
                if simulation.broken == .acknowledgesUnhandled { settled(id) }
            case .underWay, .duplicate:
                simulation.tally.duplicates += 1
                credit.consumed(messages: 1, bytes: entry.payloadLength)
                say(over: number, due)
            }
        }
    }

    /// The subscription is done with an event, well or badly.
    func settled(_ id: MessageID) { for (link, due) in intake.settled(id) { say(over: link, due) } }

    /// Nobody will handle it here.
    func returned(_ id: MessageID) { intake.returned(id) }

    /// The subscription takes no more events.
    func ending() {
        isEnding = true
        for link in links.keys.sorted() { acknowledge(over: link) }
    }

    func linkEnded(_ link: SimulatedLink) {
        links[link.id.value] = nil
        intake.linkEnded(link.id.value)
    }

    private func say(over link: UInt64, _ due: DeliveryIntake.Due) {
        switch due {
        case .not: if isEnding { acknowledge(over: link) }
        case .now: acknowledge(over: link)
        case .soon:
            if isEnding { return acknowledge(over: link) }
            guard timed.insert(link).inserted else { return }
            simulation.plan(in: DeliveryIntake.ackDelay.microseconds, on: node) { [self] in
                timed.remove(link)
                acknowledge(over: link)
            }
        }
    }

    private func acknowledge(over number: UInt64) {
        guard let link = links[number] else { return }
        for (priority, ack) in intake.takeAcknowledgements(over: number) {
            if simulation.broken == .skipsEventAck, simulation.chance(30) { continue }
            link.send(.ack(AckFrame(flow: subscription.id, priority: priority, upTo: ack.upTo, beyond: ack.beyond)))
        }
    }
}

/// One event on its way through an inlet.
struct ReliableDelivery {
    let id: MessageID
    let account: ReliableAccount
    let payload: ByteBuffer
    let priority: Priority
    let credit: InboundCredit
}
