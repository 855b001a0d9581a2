import ArgumentParser
import AsyncAlgorithms

/// Ways of the language and its libraries to hand an event to another task.
enum LocalPeer: String, ExpressibleByArgument, CaseIterable {
    /// `AsyncStream` with its unbounded buffer: its bounded ones drop.
    case stream
    /// `AsyncChannel` of swift-async-algorithms: every send waits for the receiver.
    case channel
    /// A call of an actor's method for each event: no queue, no second task.
    case actor
}

/// `Bench peer local`: one publishing task, one consuming task with an async call per event; all events counted.
struct LocalPeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "local")

    @Argument var peer: LocalPeer
    @Option var events: Int

    func run() async throws {
        let start = monotonic()
        let tally =
            switch peer {
            case .stream: await throughStream()
            case .channel: await throughChannel()
            case .actor: await throughActor()
            }
        Output.say(throughputLine(events: events, tally: tally, since: start))
    }

    private func throughStream() async -> Tally {
        let (stream, continuation) = AsyncStream.makeStream(of: Tick.self, bufferingPolicy: .unbounded)
        async let published: Void = publish(to: continuation)
        var consumer = Consumer()
        for await tick in stream { await consumer.handle(tick) }
        await published
        return consumer.tally
    }

    @concurrent private func publish(to continuation: AsyncStream<Tick>.Continuation) async {
        for sequence in 1...UInt64(events) { continuation.yield(Tick(sequence: sequence)) }
        continuation.finish()
    }

    private func throughChannel() async -> Tally {
        let channel = AsyncChannel<Tick>()
        async let published: Void = publish(to: channel)
        var consumer = Consumer()
        for await tick in channel { await consumer.handle(tick) }
        await published
        return consumer.tally
    }

    @concurrent private func publish(to channel: AsyncChannel<Tick>) async {
        for sequence in 1...UInt64(events) { await channel.send(Tick(sequence: sequence)) }
        channel.finish()
    }

    private func throughActor() async -> Tally {
        let consumer = ActorConsumer()
        for sequence in 1...UInt64(events) { await consumer.handle(Tick(sequence: sequence)) }
        return await consumer.tally
    }
}

/// The consumer behind a queue. Its handler is async as the bus's handlers are, and does nothing that waits.
private struct Consumer {
    var tally = Tally()

    @inline(never) mutating func handle(_ tick: Tick) async { tally.record(tick.sequence) }
}

private actor ActorConsumer {
    var tally = Tally()

    func handle(_ tick: Tick) { tally.record(tick.sequence) }
}

/// The result of a local throughput run.
func throughputLine(events: Int, tally: Tally, since start: UInt64) -> Line {
    let seconds = Double(monotonic() - start) / 1e9
    return Line(
        "result",
        ["rate": "\(Double(tally.received) / seconds)", "lost": "\(events - tally.received)", "disordered": "\(tally.disordered)"])
}
