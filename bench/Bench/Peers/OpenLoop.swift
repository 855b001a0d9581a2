import ArgumentParser
import Synchronization

/// A load that does not wait for the system: every event is due at its own time, and its latency counts from then, so that a stall shows in
/// all the events that it held up (no coordinated omission).
///
/// It spins, since no sleep keeps a 10 us schedule; so it holds one core, as a busy application would.
struct OpenLoop: Sendable {
    let interval: UInt64
    let count: Int

    /// `rate` events a second for so many seconds.
    init(rate: Double, seconds: Double) {
        interval = UInt64(1e9 / rate)
        count = Int(rate * seconds)
    }

    /// The time of the n-th event of a load that started at `start`.
    func due(_ index: Int, since start: UInt64) -> UInt64 { start + UInt64(index) * interval }

    /// The same, once it has come.
    func wait(for index: Int, since start: UInt64) -> UInt64 {
        let due = due(index, since: start)
        while monotonic() < due {}
        return due
    }
}

/// What the handler of an open loop keeps: latencies past the warm-up.
struct LatencyTally: Sendable {
    private(set) var tally = Tally()
    private(set) var latency = Latency()
    private let warmUp: Int

    init(warmUp: Int) { self.warmUp = warmUp }

    mutating func record(_ tick: Tick) {
        tally.record(tick.sequence)
        if tally.received > warmUp { latency.record(monotonic() - tick.due) }
    }

    func line(published: Int) -> Line {
        var fields = latency.fields
        fields["lost"] = "\(published - tally.received)"
        fields["disordered"] = "\(tally.disordered)"
        return Line("result", fields)
    }
}

/// `Bench peer local-latency`: a peer under the same open loop.
struct LocalLatencyPeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "local-latency")

    enum Peer: String, ExpressibleByArgument, CaseIterable {
        /// `AsyncStream` with its unbounded buffer.
        case stream
        /// Two threads that never sleep and share a counter: nothing can be faster, and what they are late by is the machine's part.
        case spin
    }

    @Argument var peer: Peer
    @Option var rate: Double
    @Option var seconds: Double

    func run() async throws {
        let load = OpenLoop(rate: rate, seconds: seconds)
        let tally =
            switch peer {
            case .stream: await LocalLatencyPeerCommand.stream(load)
            case .spin: await LocalLatencyPeerCommand.spin(load)
            }
        Output.say(tally.line(published: load.count))
    }

    private static func stream(_ load: OpenLoop) async -> LatencyTally {
        let (stream, continuation) = AsyncStream.makeStream(of: Tick.self, bufferingPolicy: .unbounded)
        async let published: Void = publish(load, since: monotonic()) { index, due in
            continuation.yield(Tick(sequence: UInt64(index + 1), due: due))
            if index + 1 == load.count { continuation.finish() }
        }
        var tally = LatencyTally(warmUp: load.count / 5)
        for await tick in stream { tally.record(tick) }
        await published
        return tally
    }

    private static func spin(_ load: OpenLoop) async -> LatencyTally {
        let start = monotonic()
        let shared = Shared()
        async let published: Void = publish(load, since: start) { index, _ in shared.count.store(index + 1, ordering: .releasing) }
        var tally = LatencyTally(warmUp: load.count / 5)
        for index in 0..<load.count {
            while shared.count.load(ordering: .acquiring) <= index {}
            tally.record(Tick(sequence: UInt64(index + 1), due: load.due(index, since: start)))
        }
        await published
        return tally
    }

    @concurrent private static func publish(_ load: OpenLoop, since start: UInt64, _ body: @Sendable (Int, UInt64) -> Void) async {
        for index in 0..<load.count { body(index, load.wait(for: index, since: start)) }
    }

    /// How many events there are.
    private final class Shared: Sendable {
        let count = Atomic<Int>(0)
    }
}
