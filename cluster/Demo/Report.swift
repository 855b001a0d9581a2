import Foundation

/// What the processes of the demo tell the orchestrator: one JSON object a line on standard output.
enum Report: Codable, Sendable {
    /// The node has joined, and everybody knows what it wants.
    case ready
    /// Half of the lines are published.
    case halfWay
    /// The publisher is done.
    case published(Publisher)
    /// The counter has seen what there was, or waited for it in vain.
    case counted(Counter)

    /// Where a node of the chaos stands.
    case tally(ChaosTally)

    /// What node A did.
    struct Publisher: Codable, Sendable {
        /// Lines whose publish returned.
        var lines = 0
        /// LLM calls that were wanted.
        var requests = 0
        /// LLM calls whose whole answer came.
        var completed = 0
        /// Completed calls by the node that ran them.
        var byWorker: [String: Int] = [:]
        /// Tokens of the answers, as the provider counted them.
        var tokens = 0
        /// Pieces in which they came.
        var deltas = 0
        /// Calls that were made again because their worker died while it answered.
        var repeated = 0
        /// Why calls failed, the first few.
        var failures: [String] = []
        /// One answer, to show.
        var sample: Sample?
    }

    /// A line and what became of it.
    struct Sample: Codable, Sendable {
        var asked: String
        var answered: String
    }

    /// What node B saw.
    struct Counter: Codable, Sendable {
        /// Calls of the handler.
        var handled = 0
        /// Different lines among them.
        var lines = 0
        /// Words of these.
        var words = 0
        /// Lines that gap markers spoke of.
        var missed = 0
        /// From just before publish on A to the handler on B.
        var p50Microseconds = 0.0
        var p99Microseconds = 0.0
    }

    var line: String {
        // Encoding our own plain values cannot fail.
        guard let data = try? JSONEncoder().encode(self) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }

    init?(line: String) {
        guard line.hasPrefix("{"), let report = try? JSONDecoder().decode(Report.self, from: Data(line.utf8)) else { return nil }
        self = report
    }

    /// Tells the orchestrator. If it is gone, the end of our input says so.
    func send() { try? FileHandle.standardOutput.write(contentsOf: Data((line + "\n").utf8)) }
}
