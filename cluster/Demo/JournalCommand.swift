import ArgumentParser
import Foundation
import LLMgine
import NIOCore

/// Publishes durable events and says of each when it is on the disk, and of each when it is handled. To be killed, by a test, at any moment.
///
/// In one life it publishes without end; with `--last` it publishes nothing, handles what earlier lives left, and ends when nothing is open. With
/// `--measure` it says how many durable events a second one publisher gets done, and how many 64.
struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "journal", shouldDisplay: false)

    @Option var path: String
    @Option var first = 1
    @Option(help: "The size of an event.") var bytes = 0
    @Flag(help: "Handle nothing.") var hold = false
    @Flag var last = false
    @Flag var measure = false

    func run() async throws {
        let journal = try FileJournal(path: path, options: .init(segmentBytes: measure ? 16 << 20 : 16 << 10))
        let bus = MessageBus(journal: journal)
        let (hold, isQuiet) = (hold, measure)
        try await bus.subscribe("tally", options: .init(name: "tally", delivery: .atLeastOnce)) { message, _ in
            if hold { try await Task.sleep(for: .seconds(86_400)) }
            if !isQuiet { JournalCommand.say("handled \(String(buffer: message.payload).prefix { $0 != " " })") }
        }
        if last {
            while journal.statistics.open > 0 { try await Task.sleep(for: .milliseconds(1)) }
            JournalCommand.say("quarantined \(journal.statistics.quarantined)")
        } else if measure {
            for publishers in [1, 64] { try await measure(publishers, on: bus, journal) }
        } else {
            for number in first... {
                _ = try await bus.publish(Message(topic: "tally", payload: payload(number)), durability: .durable)
                JournalCommand.say("durable \(number)")
            }
        }
        await bus.stop()
        await journal.close()
    }

    private func payload(_ number: Int) -> ByteBuffer {
        let text = "\(number)"
        return ByteBuffer(string: text + String(repeating: " ", count: max(0, bytes - text.utf8.count)))
    }

    private func measure(_ publishers: Int, on bus: MessageBus, _ journal: FileJournal) async throws {
        let time = Duration.seconds(3)
        let before = journal.statistics
        let start = ContinuousClock.now
        let message = Message(topic: "tally", payload: payload(1))
        let published = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<publishers {
                group.addTask {
                    var count = 0
                    while start.duration(to: .now) < time {
                        _ = try await bus.publish(message, durability: .durable)
                        count += 1
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        let syncs = journal.statistics.syncs - before.syncs
        let rate = Int(Double(published) / (start.duration(to: .now) / .seconds(1)))
        JournalCommand.say("\(publishers) publishers: \(rate) durable events/s, \(published) events over \(syncs) syncs")
    }

    /// Out at once: what a killed process has in a buffer is lost.
    private static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
}
