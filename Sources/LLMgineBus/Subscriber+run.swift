import LLMgineCore
import Synchronization

extension Subscriber {
    /// Handles what arrives until the mailbox is closed and empty, or the task is cancelled.
    func run(on bus: MessageBus) async {
        let layout = ValueLayout(of: Value.self)
        var taken: InlineArray<4, TakenLane> = .init(repeating: TakenLane(layout))
        var counts = DeliveryCounts()
        while !Task.isCancelled {
            var urgent = mailbox.mostUrgent ?? 4
            for lane in 0..<urgent where !taken[lane].isEmpty {
                urgent = lane
                break
            }
            let lane = urgent
            guard lane < 4 else {
                settle(&counts)
                guard await mailbox.waitForWork() else { break }
                continue
            }
            if taken[lane].isEmpty {
                taken[lane].lane.reset()
                mailbox.take(lane: lane, into: &taken[lane].lane)
                taken[lane].start()
            }
            await work(through: &taken[lane], lane: lane, &counts)
        }
        settle(&counts)
        for lane in 0..<4 {
            taken[lane].lane.head = taken[lane].next
            taken[lane].lane.discard()
        }
    }

    /// Handles a chunk up to its end, or until something more urgent has come.
    private func work(through taken: inout TakenLane, lane: Int, _ counts: inout DeliveryCounts) async {
        let priority = Priority(rawValue: UInt8(truncatingIfNeeded: lane)) ?? .normal
        while taken.next < taken.lane.items.count {
            if mailbox.hasMoreUrgent(than: lane) || Task.isCancelled { return }
            let index = taken.next
            taken.next += 1
            switch taken.lane.items[index].body {
            case .value:
                guard let value = taken.lane.values.take(Value.self, at: index) else { continue }
                let run = taken.run(at: index, priority: priority, origin: origin)
                await handle(value, run: run, sequence: taken.lane.items[index].sequence, extras: taken.lane.items[index].extras, missed: taken.takeMissed(), &counts)
                mailbox.finish(1)
            case .encoded(let encoded):
                let run = taken.run(at: index, priority: priority, origin: origin)
                await handle(encoded.message, run: run, sequence: taken.lane.items[index].sequence, extras: taken.lane.items[index].extras, missed: taken.takeMissed(), &counts)
                mailbox.finish(1)
            case .chunk(let inbound, let skip):
                await handle(inbound, from: skip, missed: taken.takeMissed(), &counts)
            case .gap(let count):
                taken.missed += UInt64(count)
            }
        }
    }
}

/// A chunk that was taken out of the mailbox, and how far it has been worked through.
struct TakenLane {
    var lane: Mailbox.Lane
    var next = 0
    var missed: UInt64 = 0
    private var runIndex = 0
    private var current: DeliveryRun?

    init(_ layout: ValueLayout) { lane = Mailbox.Lane(layout) }

    var isEmpty: Bool { next >= lane.items.count }

    mutating func start() {
        next = lane.head
        missed += lane.missed
        runIndex = 0
        current = nil
    }

    mutating func takeMissed() -> UInt64 {
        defer { missed = 0 }
        return missed
    }

    /// What the item has in common with its neighbours.
    mutating func run(at index: Int, priority: Priority, origin: BusIdentity) -> DeliveryRun {
        let runs = lane.runs
        while runIndex + 1 < runs.count, runs[runIndex + 1].first <= index {
            runIndex += 1
            current = nil
        }
        if let current { return current }
        let run = DeliveryRun(
            topic: runs[runIndex].topic, session: runs[runIndex].session, priority: priority, node: origin.node, incarnation: origin.incarnation)
        current = run
        return run
    }
}
