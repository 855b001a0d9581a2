import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineRouting

/// Where one event goes from its publisher's node: `RemoteRoute` of the bus, and its own subscriptions.
protocol SimulatedRoute: AnyObject {
    /// Puts an event in line. Never waits.
    func offer(_ message: SimulatedMessage) -> SimulatedOffer
    /// Puts an event that found no room on the disk, and says when it is there. - Returns: false if that is not what is asked for.
    func spill(_ message: SimulatedMessage, then done: @escaping () -> Void) -> Bool
    /// Wakes a publisher once there may be room. - Returns: false if there is already.
    func await(_ publisher: SimulatedPublisher) -> Bool
    /// The subscriptions that hold publishers back now.
    var holders: [PublisherHold.Holder] { get }
    /// Publishers do not wait for these of them any longer.
    func demote(_ flows: [UInt32])
    /// Events of a class that it would take at once.
    func room(for priority: Priority) -> Int
}

enum SimulatedOffer {
    /// In line, refused, or nobody is there any more.
    case taken
    case full
    /// Worth trying again after this time.
    case paced(Duration)
}

extension SimulatedRoute {
    func spill(_ message: SimulatedMessage, then done: @escaping () -> Void) -> Bool { false }
}

/// The way to some subscriptions at the end of one link: `LinkRoute` of the node.
final class SimulatedLinkRoute: SimulatedRoute {
    let link: SimulatedLink
    let flows: [UInt32]

    init(_ link: SimulatedLink, _ flows: [UInt32]) {
        self.link = link
        self.flows = flows
    }

    func offer(_ message: SimulatedMessage) -> SimulatedOffer { link.offer(message, to: flows) }

    func await(_ publisher: SimulatedPublisher) -> Bool {
        guard link.outbox.isTurningAway(flows: flows) else { return false }
        link.await(flows, by: publisher) { publisher.wake() }
        return true
    }

    var holders: [PublisherHold.Holder] { link.outbox.holders(flows: flows) }
    func demote(_ flows: [UInt32]) { _ = link.update { $0.demoted(flows: flows) } }
    func room(for priority: Priority) -> Int { flows.map { link.outbox.room(flow: $0, priority) }.min() ?? 0 }
}

/// One event of the simulation, as one node hands it on. Its payload tells the number and topic that its first publisher gave it, so that whoever gets
/// it can be checked.
struct SimulatedMessage {
    /// The number that this node has given it.
    let number: UInt64
    let topicNumber: UInt32
    let priority: Priority
    let bytes: Int
    let encoded: Message

    var topic: Topic { encoded.topic }
}

/// An event as its first publisher knows it.
struct SimulatedOrigin: Hashable {
    let life: ObjectIdentifier
    let node: NodeID
    let incarnation: Incarnation
    let number: UInt64
    /// The uplink that a leaf's event came in by; 0 for others. Events of one leaf keep their order within one.
    var uplink: UInt64 = 0

    var id: MessageID { MessageID(node: node, incarnation: incarnation, sequence: number) }
}

/// An event as one node hands it on.
struct SimulatedHop: Hashable {
    let life: ObjectIdentifier
    let number: UInt64
}

extension Simulation {
    /// Whose an event is that a node has numbered.
    func origin(of number: UInt64, from node: SimulatedNode) -> SimulatedOrigin {
        relayed[SimulatedHop(life: ObjectIdentifier(node), number: number)]
            ?? SimulatedOrigin(life: ObjectIdentifier(node), node: node.name, incarnation: node.incarnation, number: number)
    }

    /// A node passes an event on under a number of its own.
    func noteRelayed(_ number: UInt64, by node: SimulatedNode, of origin: SimulatedOrigin) {
        relayed[SimulatedHop(life: ObjectIdentifier(node), number: number)] = origin
    }

    /// An event is handled that was for one member of a group only.
    func noteHandled(_ origin: SimulatedOrigin, in group: String, by subscription: SimulatedSubscription) {
        let key = GroupEvent(life: origin.life, number: origin.number, group: group)
        if let other = groupHandlers.updateValue(subscription.name, forKey: key) {
            fault("event \(origin.id) went to two members of \(group): \(other) and \(subscription.name)")
        }
    }

    struct GroupEvent: Hashable {
        let life: ObjectIdentifier
        let number: UInt64
        let group: String
    }
}
