import LLMgineCore
import LLMgineFlow
import LLMgineLink
import LLMgineTestKit
import LLMgineWire
import NIOCore
import Testing

@Suite struct `An outbox under random use` {
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `sends within its credit, in order, and loses nothing untold`(seed: UInt64) throws {
        let life = RandomLife(seed: seed)
        for _ in 0..<1000 { try life.step() }
        try life.end()
        #expect(life.delivered > 100, "seed \(seed): nothing much happened")
    }
}

/// An outbox beside the simplest thing that could keep its promises: counts for each flow and class.
private final class RandomLife {
    private struct Flow {
        let whenFull: WhenFull
        var granted: [Credit]
        var sent = [Credit](repeating: .none, count: 4)
        var waiting = [0, 0, 0, 0]
        var travelling = 0
        var untold = [0, 0, 0, 0]
        var pending: [Set<UInt64>] = [[], [], [], []]
        var last: [String: UInt64] = [:]
        var turnedAway: Set<Int> = []
        var isDemoted = false
        // appended = delivered + evicted + rejected + waiting + travelling
        var appended = 0
        var delivered = 0
        var evicted = 0
        var rejected = 0

        var holdsPublishers: Bool {
            if case .block = whenFull { return !isDemoted }
            return false
        }
    }

    private static let room = 6

    private var random: SeededGenerator
    private let link: OneWay
    private var flows: [UInt32: Flow] = [:]
    private var nextFlow: UInt32 = 1
    private var sequence: UInt64 = 0
    private var expectsRoom = false
    private(set) var delivered = 0
    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        var limits = Outbox.Limits.messages(RandomLife.room)
        limits.texts = random.next() % 2 == 0 ? 14 : WireLimits.internedTexts
        limits.lanes = Int.random(in: 2...12, using: &random)
        link = OneWay(flows: nil, limits: limits)
    }

    func step() throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<3: open()
        case 3..<5: close()
        case 5..<25: grant()
        case 25..<40: try drain(maximum: Bool.random(using: &random) ? .max : Int.random(in: 1...5000, using: &random))
        case 40..<43: demote()
        default: try append()
        }
        check()
    }

    /// Everything goes out in the end, and every message is accounted for.
    func end() throws {
        for id in flows.keys.sorted() {
            flows[id]?.granted = [Credit](repeating: .plenty, count: 4)
            for priority in Priority.allCases { _ = link.granted(flow: id, .plenty, priority) }
        }
        while try drain(maximum: 10_000) {}
        check()
        for (id, flow) in flows {
            #expect(flow.waiting == [0, 0, 0, 0] && flow.travelling == 0, "seed \(seed), flow \(id)")
            #expect(flow.untold == [0, 0, 0, 0], "seed \(seed), flow \(id)")
            #expect(flow.pending.reduce(0) { $0 + $1.count } == flow.evicted, "seed \(seed), flow \(id)")
        }
    }

    private func check() {
        let queued = Dictionary(uniqueKeysWithValues: link.queued.map { ($0.flow, $0.messages) })
        for (id, flow) in flows {
            let waiting = flow.waiting.reduce(0, +) + flow.travelling
            // What is left of a long message goes ahead of all else, and no longer waits, when numbers change their meaning.
            #expect(waiting - flow.travelling...waiting ~= queued[id, default: 0], "seed \(seed), flow \(id)")
            #expect(flow.appended == flow.delivered + flow.evicted + flow.rejected + waiting, "seed \(seed), flow \(id)")
            #expect(link.isTurningAway(flows: [id]) == !flow.turnedAway.isEmpty, "seed \(seed), flow \(id)")
        }
    }

    // MARK: What happens

    private func open() {
        guard flows.count < 7 else { return }
        let policies: [WhenFull] = [.block, .dropOldest, .rejectNew]
        let window = credit(after: .none)
        let flow = Flow(whenFull: policies[Int.random(in: 0..<3, using: &random)], granted: [Credit](repeating: window, count: 4))
        link.opened(flow: nextFlow, whenFull: flow.whenFull, window: window)
        flows[nextFlow] = flow
        nextFlow += 1
    }

    private func close() {
        guard let id = flows.keys.sorted().randomElement(using: &random), let flow = flows.removeValue(forKey: id) else { return }
        #expect(link.closed(flow: id) == flow.waiting.reduce(0, +), "seed \(seed)")
        if !flow.turnedAway.isEmpty { expectsRoom = true }
    }

    private func grant() {
        guard let id = flows.keys.sorted().randomElement(using: &random), var flow = flows[id] else { return }
        guard let priority = Priority.allCases.randomElement(using: &random) else { return }
        let index = Int(priority.rawValue)
        let before = flow.granted[index]
        let limit = credit(after: Bool.random(using: &random) ? before : flow.sent[index])
        _ = link.granted(flow: id, limit, priority)
        flow.granted[index] = Credit(messages: max(before.messages, limit.messages), bytes: max(before.bytes, limit.bytes))
        flows[id] = flow
    }

    private func credit(after base: Credit) -> Credit {
        Credit(messages: base.messages + .random(in: 0...8, using: &random), bytes: base.bytes + .random(in: 0...20_000, using: &random))
    }

    private func demote() {
        let ids = flows.keys.sorted().filter { _ in Bool.random(using: &random) }
        let expected = ids.filter { flows[$0]?.turnedAway.isEmpty == false }
        #expect(link.demoted(flows: ids) == expected, "seed \(seed)")
        for id in expected {
            flows[id]?.isDemoted = true
            flows[id]?.turnedAway = []
            expectsRoom = true
        }
    }

    private func append() throws {
        sequence += 1
        let ids = flows.keys.sorted().filter { _ in Int.random(in: 0..<3, using: &random) > 0 }
        let types: [String?] = [nil, "T", "U"]
        let message = Message.of(
            try Topic("t\(Int.random(in: 0..<16, using: &random))"), type: types[Int.random(in: 0..<3, using: &random)],
            bytes: Int.random(in: 0..<30, using: &random) == 0
                ? .random(in: 9000...40_000, using: &random) : .random(in: 0...200, using: &random),
            priority: Int.random(in: 0..<2, using: &random) == 0 ? .normal : Priority.allCases.randomElement(using: &random) ?? .low)
        let appended: Outbox.Appended
        do throws(LLMgineError) {
            appended = try link.append(message, sequence: sequence, to: ids)
        } catch {
            #expect(error.code == .limitExceeded, "seed \(seed)")
            return  // all 14 numbers wait
        }
        #expect(appended == expected(Int(message.priority.rawValue), ids), "seed \(seed), message \(sequence)")
    }

    /// What must come of a message, by counting.
    private func expected(_ index: Int, _ ids: [UInt32]) -> Outbox.Appended {
        let full = ids.filter { id in (flows[id]?.waiting[index] ?? 0) >= RandomLife.room }
        let holders = full.filter { flows[$0]?.holdsPublishers ?? false }
        guard holders.isEmpty else {
            for holder in holders { flows[holder]?.turnedAway.insert(index) }
            return .full
        }
        guard ids.contains(where: { flows[$0] != nil }) else { return .nobody }
        var (evicted, rejected) = (0, 0)
        for id in ids {
            guard var flow = flows[id] else { continue }
            flow.appended += 1
            if full.contains(id), flow.whenFull == .rejectNew {
                flow.rejected += 1
                rejected += 1
            } else {
                if full.contains(id) {
                    flow.evicted += 1
                    flow.untold[index] += 1
                    flow.waiting[index] -= 1
                    evicted += 1
                }
                flow.waiting[index] += 1
                flow.pending[index].insert(sequence)
            }
            flows[id] = flow
        }
        return .queued(evicted: evicted, rejected: rejected)
    }

    /// - Returns: whether there is more.
    @discardableResult
    private func drain(maximum: Int) throws -> Bool {
        let drained = link.drain(maximum: maximum)
        for arrival in try link.take(drained.buffers) {
            switch arrival {
            case .intern: break
            case .data(let ids, let priority, let letters):
                #expect(Set(ids).count == ids.count, "seed \(seed)")
                for id in ids {
                    spent(id, Int(priority.rawValue), letters.count, letters.reduce(0) { $0 + $1.payload.readableBytes })
                    arrived(id, Int(priority.rawValue), letters)
                }
            case .begun(let ids, let priority, let bytes):
                for id in ids {
                    spent(id, Int(priority.rawValue), 1, bytes)
                    flows[id]?.travelling += 1
                }
            case .part: break
            case .whole(let ids, let priority, let letters):
                for id in ids where flows[id] != nil {
                    flows[id]?.travelling -= 1
                    arrived(id, Int(priority.rawValue), letters)
                }
            case .gap(let id, let priority, let count):
                #expect(flows[id]?.untold[Int(priority.rawValue)] == Int(count), "seed \(seed), flow \(id)")
                flows[id]?.untold[Int(priority.rawValue)] = 0
            case .blocked(let id, let priority, let sent):
                let index = Int(priority.rawValue)
                #expect(flows[id].map { sent.messages <= $0.granted[index].messages } ?? true, "seed \(seed)")
            case .expired, .drained: Issue.record("seed \(seed): nothing has a time to live, and nothing was asked back")
            case .call: Issue.record("seed \(seed): there are no requests")
            case .other(let type): Issue.record("seed \(seed): a frame \(type.name)")
            }
        }
        #expect(drained.madeRoom == noteRoom(), "seed \(seed)")
        return drained.hasMore
    }

    private func spent(_ id: UInt32, _ index: Int, _ messages: Int, _ bytes: Int) {
        guard var flow = flows[id] else {
            Issue.record("seed \(seed): DATA for flow \(id), which is closed")
            return
        }
        flow.sent[index].messages += UInt64(messages)
        flow.sent[index].bytes += UInt64(bytes)
        #expect(flow.sent[index].messages <= flow.granted[index].messages, "seed \(seed), flow \(id)")
        #expect(flow.sent[index].bytes <= flow.granted[index].bytes, "seed \(seed), flow \(id)")
        #expect(flow.untold[index] == 0, "seed \(seed), flow \(id): DATA before its GAP")
        flow.waiting[index] -= messages
        flows[id] = flow
    }

    private func arrived(_ id: UInt32, _ index: Int, _ letters: [Inbox.Letter]) {
        guard var flow = flows[id] else { return }
        for letter in letters {
            let wasPending = flow.pending[index].remove(letter.sequence) != nil
            #expect(wasPending, "seed \(seed), flow \(id): \(letter) twice, or never appended")
            let key = "\(letter.topic) \(index)"
            #expect(flow.last[key, default: 0] < letter.sequence, "seed \(seed), flow \(id): \(letter) came late")
            flow.last[key] = letter.sequence
        }
        flow.delivered += letters.count
        delivered += letters.count
        flows[id] = flow
    }

    private func noteRoom() -> Bool {
        for (id, flow) in flows {
            var flow = flow
            if flow.waiting == [0, 0, 0, 0] { flow.isDemoted = false }
            let roomy = flow.turnedAway.filter { flow.waiting[$0] * 2 <= RandomLife.room }
            if !roomy.isEmpty { expectsRoom = true }
            flow.turnedAway.subtract(roomy)
            flows[id] = flow
        }
        defer { expectsRoom = false }
        return expectsRoom
    }
}
