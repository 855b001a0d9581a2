import ArgumentParser

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

    /// The time of the n-th event of a load that started at `start`, once it has come.
    func wait(for index: Int, since start: UInt64) -> UInt64 {
        let due = start + UInt64(index) * interval
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

/// `Bench peer local-latency`: `AsyncStream` under the same open loop.
struct LocalLatencyPeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "local-latency")
    @Option var rate: Double
    @Option var seconds: Double

    func run() async throws {
        let load = OpenLoop(rate: rate, seconds: seconds)
        let (stream, continuation) = AsyncStream.makeStream(of: Tick.self, bufferingPolicy: .unbounded)
        async let published: Void = LocalLatencyPeerCommand.publish(load, to: continuation)
        var tally = LatencyTally(warmUp: load.count / 5)
        for await tick in stream { tally.record(tick) }
        await published
        Output.say(tally.line(published: load.count))
    }

    @concurrent private static func publish(_ load: OpenLoop, to continuation: AsyncStream<Tick>.Continuation) async {
        let start = monotonic()
        for index in 0..<load.count {
            continuation.yield(Tick(sequence: UInt64(index + 1), due: load.wait(for: index, since: start)))
        }
        continuation.finish()
    }
}
