import LLMgineCore
import LLMgineFlow
import LLMgineTestKit
import Testing

/// A publisher's window and a subscriber's intake with a link between them that breaks at any moment, from one seed.
private struct Scene {
    struct Item: Sendable, Hashable {
        let sequence: UInt64
        let priority: Priority
    }

    var random: SeededGenerator
    var window = RetransmitWindow<Item>(limits: .init(messages: 50, bytes: 1 << 20))
    var intake = DeliveryIntake(window: DeduplicationWindow(ids: 1 << 16))
    var link: UInt64 = 1
    /// What is on the way, each class in order.
    var data: [[Item]] = Array(repeating: [], count: 4)
    var acks: [(Priority, Acknowledgement)] = []
    /// What the handler has, and what it has settled.
    var handling: [Item] = []
    var begun: [Item] = []
    var settled: Set<UInt64> = []
    var published: UInt64 = 0
    var released: [UInt64] = []

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30: publish()
        case 30..<55: send()
        case 55..<75: receive()
        case 75..<88: handle()
        case 88..<95: say()
        case 95..<98: try hear()
        default: cut()
        }
    }

    mutating func publish() {
        guard window.hasRoom(for: 10), published < 400 else { return }
        published += 1
        let priority = Priority.allCases.randomElement(using: &random) ?? .normal
        window.append(Item(sequence: published, priority: priority), bytes: 10, priority: priority)
    }

    mutating func send() {
        let priority = Priority.allCases.randomElement(using: &random) ?? .normal
        guard let item = window.unsent(priority) else { return }
        window.noteSent(priority)
        data[Int(priority.rawValue)].append(item)
    }

    mutating func receive() {
        guard let lane = data.indices.filter({ !data[$0].isEmpty }).randomElement(using: &random) else { return }
        let item = data[lane].removeFirst()
        let (arrival, _) = intake.arrived(id(item), over: link, priority: item.priority, at: .zero)
        guard arrival == .deliver else { return }
        handling.append(item)
        begun.append(item)
    }

    mutating func handle() {
        guard let index = handling.indices.randomElement(using: &random) else { return }
        let item = handling.remove(at: index)
        settled.insert(item.sequence)
        _ = intake.settled(id(item))
    }

    mutating func say() { acks += intake.takeAcknowledgements(over: link).map { ($0.priority, $0.1) } }

    mutating func hear() throws {
        guard !acks.isEmpty else { return }
        let (priority, ack) = acks.removeFirst()
        for item in try window.acknowledged(ack, priority: priority) {
            #expect(settled.contains(item.sequence), "released before it was handled")
            released.append(item.sequence)
        }
    }

    /// What is on the way is lost, in both directions.
    mutating func cut() {
        data = Array(repeating: [], count: 4)
        acks = []
        intake.linkEnded(link)
        link += 1
        window.restart()
    }

    private func id(_ item: Item) -> MessageID { MessageID(node: "a", incarnation: Incarnation(1), sequence: item.sequence) }
}

@Suite struct `Delivery at least once over a link that breaks` {
    @Test(arguments: UInt64(1)...200)
    func `handles each once, in order, and forgets none`(seed: UInt64) throws {
        var scene = Scene(seed: seed)
        for _ in 0..<3000 { try scene.step() }
        // Quiet: everything comes to its end.
        for _ in 0..<20_000 where !(scene.window.isEmpty && scene.handling.isEmpty) {
            scene.send()
            scene.receive()
            scene.handle()
            scene.say()
            try scene.hear()
        }
        #expect(scene.window.isEmpty, "seed \(seed)")
        #expect(scene.intake.openCount == 0, "seed \(seed)")
        #expect(Set(scene.begun).count == scene.begun.count, "handled twice, seed \(seed)")
        #expect(scene.begun.map(\.sequence).sorted() == Array(1..<scene.published + 1), "seed \(seed)")
        #expect(scene.released.sorted() == Array(1..<scene.published + 1), "seed \(seed)")
        for priority in Priority.allCases {
            let order = scene.begun.filter { $0.priority == priority }.map(\.sequence)
            #expect(order == order.sorted(), "seed \(seed)")
        }
    }
}
