import ArgumentParser
import Foundation
import LLMgine
import Logging
import UnixSignals

/// One node of the chaos: it publishes to every other, handles what comes in four ways, makes and answers requests, and writes down all of it.
struct ChaosNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "chaos-node", shouldDisplay: false)

    @Option var number: Int
    @Option var nodes: Int
    @Option var listen: String
    @Option var advertise: String
    @Option var seeds: [String] = []
    @Option var certificates: String
    @Option var history: String
    /// Events a second to each other node.
    @Option var rate: Int
    /// Where the journal is, of a node that publishes durably.
    @Option var journal: String?

    func run() async throws {
        let history = try ChaosHistory(path: history)
        let logger = Logger(label: "chaos") { _ in
            ChaosLog(history: history) { line in FileHandle.standardError.write(Data((line + "\n").utf8)) }
        }
        let journal = try journal.map { path in
            // Small files, so that there is always one that has just been begun and one that can go.
            try FileJournal(path: path, options: .init(segmentBytes: 16 << 10), logger: logger)
        }
        let node = try await Node(
            configuration: NodeConfiguration(
                name: try NodeID(Chaos.name(number)), cluster: "chaos", listen: listen, advertise: advertise, seeds: seeds,
                certificates: .directory(certificates), joinTimeout: .seconds(1), stopDeadline: .seconds(5), eventLoops: 1,
                journal: journal,
                certificateCheck: .milliseconds(200)),
            logger: logger)
        history.write("i", Int(truncatingIfNeeded: node.incarnation.value))
        let work = ChaosWork(node: node, number: number, history: history, journal: journal)
        try await work.subscribe()
        Report.ready.send()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for target in 0..<nodes where target != number {
                tasks.addTask { await work.publish(to: target, rate: rate) }
                tasks.addTask { await work.publishKept(to: target, rate: rate) }
                if journal != nil { tasks.addTask { await work.publishDurably(to: target, rate: rate) } }
            }
            tasks.addTask { await work.request() }
            tasks.addTask { await work.keepBooks() }
            tasks.addTask {
                // SIGTERM: a rolling restart.
                for await _ in await UnixSignalsSequence(trapping: .sigterm) { return }
            }
            tasks.addTask { try await Orders.obey { await work.obey($0) } }
            // Only a signal and the end of the orders end a task.
            try await tasks.next()
            history.write("t")
            work.stopPublishing()
            work.thaw()
            await node.stop(deadline: .seconds(5))
            tasks.cancelAll()
        }
        await journal?.close()
        work.noteDeadLetters()
        history.write("z")
        history.flush()
    }
}
