import LLMgineCore
import LLMgineLink
import LLMgineWire
import NIOCore

/// One connection: two streams of bytes that keep their order, until something breaks them.
final class SimulatedWire {
    /// What one end has written and the other has not read.
    private struct Direction {
        var bytes = 0
        /// When the last of it arrives: a stream keeps its order.
        var arrival: Int64
        /// What stands still because the way is blocked; nil ends the stream.
        var held: [ByteBuffer?] = []
        /// Grows when what is on its way is thrown away.
        var epoch = 0
        var isFinished = false
    }

    unowned let simulation: Simulation
    /// The dialler's end, then the acceptor's.
    private(set) var ends: [SimulatedLink] = []
    private let hosts: [Int]
    private var directions: [Direction]
    /// Nothing arrives any more.
    private(set) var isCut = false
    /// Somebody else wrote into it, so an end may well complain.
    private(set) var isTainted = false

    /// - Parameter opening: when the dialler and the acceptor may read.
    init(_ simulation: Simulation, dialer: SimulatedNode, acceptor: SimulatedNode, address: String, opening: [Int64]) {
        self.simulation = simulation
        hosts = [dialer.host, acceptor.host]
        directions = [Direction(arrival: opening[1]), Direction(arrival: opening[0])]
        let id = simulation.nextLink()
        ends = [
            SimulatedLink(self, side: 0, node: dialer, peer: acceptor, id: id, dialed: address),
            SimulatedLink(self, side: 1, node: acceptor, peer: dialer, id: id, dialed: nil),
        ]
    }

    var isOver: Bool { isCut || ends.allSatisfy(\.isOver) }
    /// Whether nothing is under way.
    var isSilent: Bool { directions.allSatisfy { $0.bytes == 0 && $0.held.isEmpty } }
    var isEstablished: Bool { ends.allSatisfy(\.isEstablished) }

    func isWritable(from side: Int) -> Bool { directions[side].bytes < simulation.settings.socketBytes }

    /// One end writes.
    func write(_ bytes: ByteBuffer, from side: Int) {
        guard !isCut, !directions[side].isFinished, bytes.readableBytes > 0 else { return }
        directions[side].bytes += bytes.readableBytes
        simulation.tally.bytes += bytes.readableBytes
        ends[side].node.traffic.writtenBytes += bytes.readableBytes
        ends[side].node.traffic.writes += 1
        pass(bytes, from: side)
    }

    /// One end closes. If it has not read all that came, what it has written may be thrown away with it.
    func close(from side: Int) {
        guard !isCut, !directions[side].isFinished else { return }
        directions[side].isFinished = true
        if directions[1 - side].bytes > 0, simulation.chance(50) {
            directions[side].epoch += 1
            directions[side].held = []
        }
        pass(nil, from: side)
    }

    /// Nothing gets through any more, and both ends are told some time.
    func cut() {
        guard !isCut else { return }
        isCut = true
        for end in ends {
            simulation.plan(in: Int64(simulation.draw(50_000)), on: end.node) { end.broke(.connectionLost) }
        }
    }

    /// The host of one end is gone, without a word.
    func orphaned(_ side: Int) {
        guard !isCut else { return }
        // Its kernel resets the connection, unless it went down as well or the way is blocked.
        let isNoticed = simulation.chance(70) && !simulation.isBlocked(from: hosts[side], to: hosts[1 - side])
        isCut = true
        guard isNoticed else { return }
        let other = ends[1 - side]
        simulation.plan(in: Int64(simulation.draw(20_000)), on: other.node) { other.broke(.connectionLost) }
    }

    /// The way is open again.
    func unblocked() {
        for side in 0...1 {
            let held = directions[side].held
            directions[side].held = []
            for bytes in held { pass(bytes, from: side) }
        }
    }

    /// Writes what breaks the protocol into the stream of one end.
    func taint(by side: Int) {
        isTainted = true
        var bytes = ByteBuffer()
        switch simulation.draw(ends[0].isCompressed ? 8 : 6) {
        case 0: bytes.writeInteger(0 as UInt32)
        case 1: bytes.writeInteger(UInt32.max)
        case 2: bytes.writeBytes([0, 0, 0, 2, 0x7E, Frame.mustUnderstand])
        case 3: bytes.writeBytes([0, 0, 0, 3, FrameType.pong.rawValue, 0, 0x80])
        case 4: bytes.writeBytes([0, 0, 0, 4, FrameType.cancel.rawValue, 1, 0, 0])
        case 6, 7: bytes = simulation.zlib.bomb
        default:
            let hello = HelloFrame(cluster: "other", node: "stranger", incarnation: Incarnation(1))
            Frame.hello(hello).write(into: &bytes)
        }
        write(bytes, from: side)
    }

    private func pass(_ bytes: ByteBuffer?, from side: Int) {
        guard !simulation.isBlocked(from: hosts[side], to: hosts[1 - side]) else { return directions[side].held.append(bytes) }
        let range = simulation.settings.delay
        let arrival = max(directions[side].arrival, simulation.time + Int64(simulation.draw(range)))
        directions[side].arrival = arrival
        let epoch = directions[side].epoch
        let receiver = ends[1 - side]
        simulation.plan(at: arrival, on: receiver.node) { [self] in
            guard !isCut else { return }
            guard let bytes else { return receiver.broke(.connectionLost) }
            let wasWritable = isWritable(from: side)
            directions[side].bytes -= bytes.readableBytes
            receiver.node.traffic.readBytes += bytes.readableBytes
            receiver.node.traffic.reads += 1
            if epoch == directions[side].epoch { read(bytes, by: receiver) }
            if !wasWritable, isWritable(from: side) { ends[side].flushSoon() }
        }
    }

    private func read(_ bytes: ByteBuffer, by end: SimulatedLink) {
        guard simulation.settings.splitsReads, simulation.chance(15) else { return end.read(bytes) }
        var rest = bytes
        while rest.readableBytes > 0 {
            let length = min(rest.readableBytes, 1 + simulation.draw(simulation.chance(50) ? 4 : 200))
            if let piece = rest.readSlice(length: length) { end.read(piece) }
        }
    }
}
