import LLMgineBus
import LLMgineCore
import LLMgineWire
import NIOCore

/// One event with a handler, whichever way it came.
struct SimulatedEvent {
    /// The number that whoever sent it here has given it.
    let number: UInt64
    let priority: Priority
    let payload: ByteBuffer
    /// Where it is accounted for, unless it is to be acknowledged.
    let passage: Passage?
    let delivery: ReliableDelivery?
    let credit: InboundCredit?
    /// Where it lies in what came over a link.
    let place: (chunk: ReceivedChunk, index: Int)?

    init(_ message: SimulatedMessage, _ passage: Passage) {
        number = message.number
        priority = message.priority
        payload = message.encoded.payload
        self.passage = passage
        delivery = nil
        credit = nil
        place = nil
    }

    init(_ chunk: ReceivedChunk, at index: Int, _ credit: InboundCredit, _ passage: Passage) {
        let entry = chunk.index.entries[index]
        number = chunk.index.sequence(of: entry)
        priority = chunk.priority
        payload = chunk.index.payload(of: entry)
        self.passage = passage
        delivery = nil
        self.credit = credit
        place = (chunk, index)
    }

    init(_ delivery: ReliableDelivery) {
        number = delivery.id.sequence
        priority = delivery.priority
        payload = delivery.payload
        passage = nil
        self.delivery = delivery
        credit = delivery.credit
        place = nil
    }

    var bytes: Int { payload.readableBytes }
    /// The node that sent it here.
    var sender: SimulatedNode? { passage?.publisher ?? delivery?.account.publisher }
    /// The topic that it says it was published to.
    var topic: UInt32 { payload.getInteger(at: payload.readerIndex + 8, as: UInt32.self) ?? .max }
}

extension SimulatedMessage {
    /// An event that was on the disk.
    init(_ record: SpillRecord, at now: Duration) {
        let encoded = record.message(at: now)
        self.init(
            number: record.sequence,
            topicNumber: encoded.payload.getInteger(at: encoded.payload.readerIndex + 8, as: UInt32.self) ?? .max,
            priority: encoded.priority, bytes: encoded.payload.readableBytes, encoded: encoded)
    }
}

/// Looks at what one subscription is given: that it was sent, whole, once, in order, and not by itself.
final class SimulatedAuditor {
    private unowned let subscription: SimulatedSubscription
    /// The last event of each line that keeps its order.
    private var last: [Line: UInt64] = [:]
    /// What came to be acknowledged.
    private var processed: Set<MessageID> = []

    private struct Line: Hashable {
        let sender: ObjectIdentifier
        let life: ObjectIdentifier
        let uplink: UInt64
        let topic: UInt32
        let priority: Priority
    }

    private static let filling = ByteBuffer(repeating: SimulatedPublisher.filling, count: 256)

    init(_ subscription: SimulatedSubscription) { self.subscription = subscription }

    private var simulation: Simulation { subscription.node.simulation }
    private var name: String { subscription.name }

    /// A handler has processed it.
    func handled(_ event: SimulatedEvent) {
        simulation.tally.delivered += 1
        guard simulation.settings.isAudited, let sender = event.sender else { return }
        let origin = simulation.origin(of: event.number, from: sender)
        checkContent(event, origin)
        settle(event, of: sender)
        checkOrder(event, from: sender, origin)
        if origin.uplink != 0, origin.life == ObjectIdentifier(subscription.node) {
            simulation.fault("event \(origin.id) comes back to \(name), whose leaf has published it")
        }
        if let group = subscription.group { simulation.noteHandled(origin, in: group, by: subscription) }
        simulation.rollCall?.answered(origin, by: subscription)
    }

    /// It was passed on to another node.
    func passedOn(_ event: SimulatedEvent) {
        guard simulation.settings.isAudited, let sender = event.sender else { return }
        settle(event, of: sender)
        checkOrder(event, from: sender, simulation.origin(of: event.number, from: sender))
    }

    /// It is in the dead letters.
    func buried(_ event: SimulatedEvent) {
        event.passage?.evicted(event.number)
        event.delivery?.account.buried(event.number)
        guard let sender = event.sender else { return }
        simulation.rollCall?.answered(simulation.origin(of: event.number, from: sender), by: subscription)
    }

    private func settle(_ event: SimulatedEvent, of sender: SimulatedNode) {
        if let complaint = event.passage?.deliver(event.number) {
            simulation.fault("message \(event.number) of \(sender.name) \(complaint) at \(name)")
        }
        guard let delivery = event.delivery else { return }
        if !delivery.account.processed(event.number) { simulation.fault("\(delivery.id) was never sent to \(name)") }
        if !processed.insert(delivery.id).inserted { simulation.fault("\(delivery.id) came to \(name) twice") }
    }

    /// What was published is what comes, and an event that was passed on says whose it is.
    private func checkContent(_ event: SimulatedEvent, _ origin: SimulatedOrigin) {
        var payload = event.payload
        if payload.readInteger(as: UInt64.self) != origin.number { simulation.fault("\(name) got the payload of another message") }
        payload.moveReaderIndex(forwardBy: min(4, payload.readableBytes))
        if payload != SimulatedAuditor.filling.getSlice(at: 0, length: payload.readableBytes) {
            simulation.fault("\(name) got other bytes than were published as \(origin.id)")
        }
        guard let (chunk, index) = event.place else { return }
        let topic = Simulation.topic(event.topic)
        if chunk.topics[index] != topic { simulation.fault("\(name) got an event of \(topic) as one of \(chunk.topics[index])") }
        guard origin.life != ObjectIdentifier(chunk.link.peer) else { return }
        var message = Message(topic: topic, payload: payload)
        message.headers = chunk.index[index].headers
        let told = message.takeOrigin()
        if told != origin.id { simulation.fault("\(name) is told that \(origin.id) is \(told.map { "\($0)" } ?? "nobody's")") }
    }

    private func checkOrder(_ event: SimulatedEvent, from sender: SimulatedNode, _ origin: SimulatedOrigin) {
        let line = Line(
            sender: ObjectIdentifier(sender), life: origin.life, uplink: origin.uplink, topic: event.topic, priority: event.priority)
        if let before = last[line], before >= origin.number {
            simulation.fault("\(name) got message \(origin.number) of \(origin.node) on topic \(event.topic) after \(before)")
        }
        last[line] = origin.number
    }
}
