import LLMgineCore
import LLMgineRouting

/// One event after everything has become quiet, which all must get that are subscribed to it, once each, and of each queue group one member: over
/// links, through hubs and past disks.
struct RollCall {
    let origin: SimulatedOrigin
    /// Who must answer; nil for one of a group.
    private let single: [(name: String, policy: String)]
    private let groups: [String: Set<String>]
    private var answers: [String: Int] = [:]

    init(of origin: SimulatedOrigin, on topic: Topic, among nodes: [SimulatedNode]) {
        self.origin = origin
        let all = nodes.flatMap(\.ownSubscriptions).filter { $0.matches(topic) }
        single = all.filter { $0.group == nil }.map {
            ($0.name, $0.options.reliable == nil ? "\($0.whenFull)" : "at least once")
        }
        groups = Dictionary(grouping: all.filter { $0.group != nil }) { $0.group ?? "" }.mapValues { Set($0.map(\.name)) }
    }

    mutating func answered(_ origin: SimulatedOrigin, by subscription: SimulatedSubscription) {
        guard origin.life == self.origin.life, origin.number == self.origin.number else { return }
        answers[subscription.name, default: 0] += 1
    }

    /// What is not as it should be.
    var complaints: [String] {
        var found: [String] = []
        for (name, policy) in single where answers[name] != 1 {
            found.append("\(name), \(policy), got \(answers[name] ?? 0) of one event of \(origin.node) that it is subscribed to")
        }
        for (group, members) in groups.sorted(by: { $0.key < $1.key }) {
            let count = members.reduce(0) { $0 + (answers[$1] ?? 0) }
            if count != 1 { found.append("\(group) got \(count) of one event of \(origin.node): \(members.sorted())") }
        }
        return found
    }
}

extension Simulation {
    /// Has one node publish one event, and waits for all that must get it.
    func callRoll() {
        guard let node = pick(nodes.filter(\.isAlive)), let publisher = node.publishers.first, let topic = pick(publisher.topics) else {
            return
        }
        let origin = SimulatedOrigin(
            life: ObjectIdentifier(node), node: node.name, incarnation: node.incarnation, number: node.lastSequence + 1)
        rollCall = RollCall(of: origin, on: Simulation.topic(topic), among: nodes.filter(\.isAlive))
        publisher.publish(SimulatedPublisher.Order(topic: topic, priority: .normal, bytes: 12))
        let end = now + .seconds(10)
        repeat { run(for: .milliseconds(30)) } while now < end && !((rollCall?.complaints.isEmpty ?? true) && unrest.isEmpty)
        for complaint in rollCall?.complaints ?? [] { fault(complaint) }
        rollCall = nil
    }

    private static let topics: [Topic] = (0..<384).map { Topic(stringLiteral: "t\($0 % 3).h\($0 / 3)") }

    /// Three topics for each host. Nobody else publishes to them.
    static func topic(_ number: UInt32) -> Topic {
        Int(number) < topics.count ? topics[Int(number)] : Topic(stringLiteral: "t\(number % 3).h\(number / 3)")
    }

    static func topics(of host: Int) -> [UInt32] { (0..<3).map { UInt32(host * 3 + $0) } }
}
