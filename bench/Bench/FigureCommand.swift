import ArgumentParser
import Foundation

/// `Bench figure P1 P3`: measures and reports.
struct FigureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "figure", abstract: "Measure figures, ours and the peers side by side.")

    @Argument(help: "Figures, as in P1 P3.") var figures: [String]
    @Flag(help: "Short rounds: at most 45 s per figure.") var quick = false
    @Option(help: "How often each contender is measured.") var rounds: Int?
    @Flag(help: "Leave our own side out.") var peersOnly = false
    @Option(help: "What random troubles are drawn from.") var seed: UInt64?
    @Option(help: "The directory with certificates and compiled peers.") var directory: String
    @Option(help: "Why NATS cannot be measured.") var withoutNats: String?

    func validate() throws {
        for id in figures where Figures.named(id) == nil {
            throw ValidationError("there is no figure \"\(id)\"; there are \(Figures.all.map { $0.id }.joined(separator: ", "))")
        }
        if let rounds, !(1...100).contains(rounds) { throw ValidationError("--rounds is 1 to 100, not \(rounds)") }
    }

    func run() async throws {
        let log = URL(filePath: directory).appending(path: "processes.log")
        guard FileManager.default.createFile(atPath: log.path, contents: nil) else { throw BenchError("\(log.path) cannot be written") }
        let logHandle = try FileHandle(forWritingTo: log)
        _ = try logHandle.seekToEnd()
        var failures = 0
        for figure in figures.compactMap({ Figures.named($0) }) {
            Output.tell("\(figure.id)  \(figure.title)")
            let laboratory = Laboratory(
                directory: URL(filePath: directory), log: logHandle, quick: quick,
                rounds: rounds ?? (quick ? figure.quickRounds : figure.rounds),
                peersOnly: peersOnly, seed: seed ?? UInt64.random(in: 1...UInt64(UInt32.max)),
                missingNATS: withoutNats)
            do {
                let report = try await figure.init().measure(in: laboratory)
                Output.tell(report.table + "\n")
                Output.say(report.json.description)
                if report.failure != nil {
                    failures += 1
                    Output.tell("what the processes said is in \(log.path)")
                }
            } catch {
                Output.tell("\(figure.id) could not be measured: \(error)\n")
                Output.say(
                    JSON.object([
                        ("figure", .text(figure.id)), ("name", .text(figure.title)), ("ours", .null), ("peers", .object([])),
                        ("met", .null),
                        ("error", .text("\(error)")),
                    ]).description)
                failures += 1
            }
        }
        if failures > 0 { throw ExitCode(1) }
    }
}

/// `Bench list`: what can be asked for, and which of them want NATS.
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the figures.")

    @Flag(help: "Only the figures that are compared with NATS.") var nats = false

    func run() {
        for figure in Figures.all where figure.needsNATS || !nats { Output.say("\(figure.id.padded(5)) \(figure.title)") }
    }
}
