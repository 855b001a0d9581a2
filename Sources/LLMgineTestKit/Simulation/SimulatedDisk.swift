import LLMgineBus
import LLMgineCore
import LLMgineFlow
import LLMgineLink
import NIOCore

/// A disk for the events of one subscription: what `SpillFile` is for, with records as bytes, a limit, and parts that cannot be read back.
struct SimulatedDisk {
    let maximumBytes: Int
    private(set) var size = 0
    private var records: [ByteBuffer] = []

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// - Returns: false if there is no room.
    mutating func append(_ record: ByteBuffer, isUnlimited: Bool) -> Bool {
        guard isUnlimited || record.readableBytes <= maximumBytes - size else { return false }
        records.append(record)
        size += record.readableBytes
        return true
    }

    /// Takes the oldest records out, some at a time, as bytes without their length.
    mutating func next(isUnreadable: Bool) -> SpillFile.Batch {
        let taken = records.prefix(4)
        records.removeFirst(taken.count)
        size -= taken.reduce(0) { $0 + $1.readableBytes }
        guard !isUnreadable else { return SpillFile.Batch(lost: taken.count) }
        return SpillFile.Batch(
            records: taken.compactMap { record in
                var record = record
                return record.readLengthPrefixedSlice(as: UInt32.self)
            })
    }
}

/// The line of one subscription that goes on over the disk: `SpillLine` of the bus, without its threads.
final class SimulatedSpillLine {
    private unowned let node: SimulatedNode
    private(set) var order = SpillOrder()
    private var disk: SimulatedDisk
    /// A queue writes one event after the other.
    private var lastWrite: Int64 = 0
    private var isReading = false
    /// Events that came back and have no room yet.
    private var isWaiting = false
    /// Puts an event in line in memory. - Returns: false if there is no room.
    private let enter: (SpillRecord) -> Bool
    /// So many events cannot be read back.
    private let lose: (Int) -> Void

    init(_ node: SimulatedNode, maximumBytes: Int, enter: @escaping (SpillRecord) -> Bool, lose: @escaping (Int) -> Void) {
        self.node = node
        disk = SimulatedDisk(maximumBytes: maximumBytes)
        self.enter = enter
        self.lose = lose
    }

    private var simulation: Simulation { node.simulation }

    /// Writes an event behind the others. - Parameter done: is told whether it is on the disk; false if that was refused.
    func spill(_ message: SimulatedMessage, then done: @escaping (Bool) -> Void) {
        let record = SpillRecord(message.encoded, sequence: message.number, at: simulation.now)
        simulation.tally.spilled += 1
        if order.departed() { readLater() }
        lastWrite = max(lastWrite, simulation.time + Int64(simulation.draw(1500)))
        simulation.plan(at: lastWrite, on: node) { [self] in
            let isWritten = disk.append(record.bytes, isUnlimited: simulation.broken == .overfillsDisk)
            if disk.size > disk.maximumBytes {
                simulation.fault("\(disk.size) bytes lie on a disk of \(node.name) for \(disk.maximumBytes)")
            }
            order.wrote(isWritten)
            done(isWritten)
        }
    }

    /// There may be room again.
    func roomMade() {
        guard isWaiting else { return }
        isWaiting = false
        simulation.plan(in: Int64(simulation.draw(200)), on: node) { [self] in proceed() }
    }

    /// - Returns: how many events were left.
    func end() -> Int {
        guard order.ended() else { return 0 }
        return order.waiting
    }

    private func readLater() {
        guard !isReading else { return }
        isReading = true
        simulation.plan(in: Int64(simulation.draw(2000)), on: node) { [self] in
            isReading = false
            read()
        }
    }

    private func read() {
        guard !order.isEnded else { return }
        var batch = disk.next(isUnreadable: simulation.chance(3))
        if simulation.broken == .reordersSpilled, batch.records.count > 1 { batch.records.swapAt(0, batch.records.count - 1) }
        let arrivals = SpillOrder.Arrivals(batch)
        guard !arrivals.isEmpty else {
            if !order.finished() { readLater() }
            return
        }
        order.arrived(arrivals)
        if arrivals.lost > 0, simulation.broken != .hidesDiskLoss { lose(arrivals.lost) }
        proceed()
    }

    private func proceed() {
        while let next = order.next {
            guard enter(next) else {
                isWaiting = true
                return
            }
            order.entered()
        }
        readLater()
    }
}

/// The way to one subscription of a peer whose events go over this node's disk when it has no credit: `SpillRoute` of the node.
final class SimulatedSpillRoute: SimulatedRoute {
    private unowned let link: SimulatedLink
    let flow: UInt32
    private(set) lazy var line = makeLine()
    private let maximumBytes: Int

    init(_ link: SimulatedLink, flow: UInt32, maximumBytes: Int) {
        self.link = link
        self.flow = flow
        self.maximumBytes = maximumBytes
    }

    private func makeLine() -> SimulatedSpillLine {
        SimulatedSpillLine(link.node, maximumBytes: maximumBytes) { [unowned self] record in
            enter(record)
        } lose: { [unowned link, flow] count in
            link.update { $0.lost(count, flow: flow) }
            link.passages[flow]?.lostOnDisk += count
        }
    }

    private func enter(_ record: SpillRecord) -> Bool {
        switch link.append(record.message(at: link.simulation.now), sequence: record.sequence, to: [flow]) {
        case .queued: return true
        case .nobody, nil: return true  // the flow is closed, and the line about to be ended
        case .full, .paced:
            link.await([flow], by: self) { [weak self] in self?.line.roomMade() }
            return false
        }
    }

    func offer(_ message: SimulatedMessage) -> SimulatedOffer { line.order.isSpilling ? .full : link.offer(message, to: [flow]) }

    func spill(_ message: SimulatedMessage, then done: @escaping () -> Void) -> Bool {
        guard !line.order.isEnded else { return false }
        line.spill(message) { [link, flow] isWritten in
            if isWritten { link.passages[flow]?.accepted(message) } else { link.simulation.tally.rejected += 1 }
            done()
        }
        return true
    }

    func await(_ publisher: SimulatedPublisher) -> Bool { false }
    var holders: [PublisherHold.Holder] { [] }
    func demote(_ flows: [UInt32]) {}
    func room(for priority: Priority) -> Int { line.order.isSpilling ? 0 : link.outbox.room(flow: flow, priority) }
}
