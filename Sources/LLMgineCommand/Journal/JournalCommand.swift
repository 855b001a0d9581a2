import ArgumentParser
import LLMgineCore
import LLMgineJournal

import class FoundationEssentials.JSONEncoder

struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Look at the journal of durable events, also while a node writes it.",
        discussion: """
            Example:
              llmgine journal inspect /var/lib/llmgine/journal
              llmgine journal verify /var/lib/llmgine/journal
            """,
        subcommands: [Inspect.self, Verify.self])
}

/// Which journal, and how to say what is in it.
struct JournalOptions: ParsableArguments {
    @Argument(help: "The directory of the journal, as `journal.path` has it.", completion: .directory)
    var directory: String

    @Flag(help: "Print one JSON object.")
    var json = false

    /// How long an end that makes no sense may be what a node is about to write.
    private static let patience = Duration.milliseconds(250)

    /// Reads the files. An end that looks torn is looked at until it has been the same for a while.
    func read() async throws -> JournalReport {
        var report = try JournalReport(reading: directory)
        var since = ContinuousClock.now
        while let end = report.defects.last, end.kind == .torn, since.duration(to: .now) < JournalOptions.patience {
            try await Task.sleep(for: .milliseconds(10))
            let next = try JournalReport(reading: directory)
            if next.defects.last != end { since = .now }
            report = next
        }
        return report
    }

    func say(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        Terminal.say(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}

extension JournalCommand {
    struct Inspect: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the files of a journal, and the events that somebody is still owed.",
            discussion: "Example:\n  llmgine journal inspect journal --limit 20\n  llmgine journal inspect journal --json")

        @OptionGroup var options: JournalOptions

        @Option(help: "How many open events at most, oldest first. JSON has all of them.")
        var limit = 100

        func validate() throws {
            guard limit >= 0 else { throw ValidationError("--limit must not be negative") }
        }

        func run() async throws {
            let report = try await options.read()
            if options.json { return try options.say(json: report) }
            var files = Table("SEGMENT", "BYTES", "RECORDS", "FIRST", "LAST", "EVENTS", "OPEN")
            for segment in report.segments {
                files.add(
                    segment.name, "\(segment.bytes)", "\(segment.records)", segment.records == 0 ? "-" : "\(segment.first)",
                    segment.records == 0 ? "-" : "\(segment.last)", "\(segment.events)", "\(segment.open)")
            }
            Terminal.say(files.text)
            if !report.open.isEmpty, limit > 0 {
                var open = Table("RECORD", "SEGMENT", "OFFSET", "EVENT", "TOPIC", "TYPE", "BYTES", "OWED TO")
                for event in report.open.prefix(limit) {
                    open.add(
                        "\(event.record)", event.segment, "\(event.offset)", event.event, event.topic, event.type?.printable ?? "-",
                        "\(event.bytes)", event.owed.joined(separator: " ").printable)
                }
                Terminal.say(open.text)
            }
            if report.open.count > limit { Terminal.complain("\(limit) of \(report.open.count) open events") }
            for name in report.setAside { Terminal.complain("set aside earlier: \(name)") }
            for defect in report.defects { Terminal.complain(defect.text) }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check every record of a journal against its checksum. The exit code is 1 if something is wrong.",
            discussion: """
                A torn end is what a crash leaves; the next start of the node cuts it off and keeps it beside the file.

                Example:
                  llmgine journal verify journal
                """)

        @OptionGroup var options: JournalOptions

        func run() async throws {
            let report = try await options.read()
            let verdict = Verdict(report)
            if options.json { try options.say(json: verdict) } else { Terminal.say(verdict.text) }
            guard report.defects.isEmpty else { throw ExitCode(ExitStatus.failed.rawValue) }
        }
    }

    /// What a check has found.
    private struct Verdict: Encodable {
        let path: String
        let segments: Int
        let records: Int
        let bytes: Int
        let defects: [JournalReport.Defect]
        let setAside: [String]

        init(_ report: JournalReport) {
            path = report.path
            segments = report.segments.count
            records = report.segments.reduce(0) { $0 + $1.records }
            bytes = report.segments.reduce(0) { $0 + $1.bytes }
            defects = report.defects
            setAside = report.setAside
        }

        var text: String {
            let found = defects.isEmpty ? "sound" : "\(defects.count) \(defects.count == 1 ? "defect" : "defects")"
            let sum = "\(segments) segments, \(records) records, \(bytes) bytes: \(found)"
            return (defects.map(\.text) + setAside.map { "set aside earlier: \($0)" } + [sum]).joined(separator: "\n")
        }
    }
}
