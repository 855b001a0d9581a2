import LLMgine
import LLMgineOTLPSink
import LLMgineTestKit

/// What happened, as the processes told it.
struct Outcome {
    let stage: Stage
    let published: Report.Publisher
    let counted: Report.Counter
    /// Nil if telemetry went elsewhere.
    let summary: SinkSummary?
    /// How worker C ended half-way.
    let killed: ChildProcess.Ending
    /// How the nodes ended when they were asked to.
    let endings: [(name: String, ending: ChildProcess.Ending)]

    private var lost: Int { published.lines - counted.lines }

    private func calls(_ worker: String) -> Int { published.byWorker[worker] ?? 0 }

    /// What should not have happened, one sentence each.
    var complaints: [String] {
        var complaints: [String] = []
        if lost != 0 { complaints.append("\(lost) lines were lost on the way from a to b") }
        if counted.missed > 0 { complaints.append("b heard of \(counted.missed) lines that it did not get") }
        if published.completed != published.requests {
            complaints.append("\(published.requests - published.completed) calls failed: \(published.failures.joined(separator: "; "))")
        }
        // With fewer calls than slots, one worker may well have done them all.
        if published.requests >= 16 {
            for worker in ["b", "c"] where calls(worker) == 0 { complaints.append("worker \(worker) completed no call") }
        }
        if let summary, summary.tracesAcrossNodes == 0 { complaints.append("no trace crossed a node") }
        if killed != .signal(9) { complaints.append("c was not killed but ended by itself (\(killed))") }
        for (name, ending) in endings where ending != .code(0) {
            complaints.append("\(name) did not stop cleanly on SIGTERM (\(ending)); see its log")
        }
        return complaints
    }

    var table: String {
        var rows: [(String, String)] = [
            ("nodes", "3, over TLS 1.3 with mutual certificates"),
            ("lines published on a", "\(published.lines)"),
            ("lines seen on b", "\(counted.lines), with \(counted.words) words"),
            ("lines lost", "\(lost)"),
            ("publish to handler", "p50 \(Int(counted.p50Microseconds)) us, p99 \(Int(counted.p99Microseconds)) us"),
            (
                "LLM calls",
                "\(published.completed) of \(published.requests) completed, \(published.tokens) tokens in \(published.deltas) pieces"
            ),
            ("  by worker", "b \(calls("b")), c \(calls("c"))"),
            ("  made again", published.repeated == 0 ? "none" : "\(published.repeated), because c was killed while it answered"),
            ("c half-way", "killed, then started again"),
        ]
        if let summary {
            rows.append(("spans received", "\(summary.spans), of \(summary.traces) traces"))
            rows.append(("traces across nodes", "\(summary.tracesAcrossNodes)"))
        } else {
            rows.append(("spans", "sent to OTEL_EXPORTER_OTLP_ENDPOINT"))
        }
        rows.append(("stopped cleanly", endings.filter { $0.ending == .code(0) }.map(\.name).sorted().joined(separator: ", ")))
        if let sample = published.sample { rows.append(("for example", "\"\(sample.asked)\"")) }
        if let sample = published.sample { rows.append(("  is now", "\"\(sample.answered)\"")) }
        let width = rows.map(\.0.count).max() ?? 0
        return "\n" + rows.map { "  \($0.0)\(String(repeating: " ", count: width - $0.0.count + 3))\($0.1)" }.joined(separator: "\n") + "\n"
    }

    /// One object, in the order in which people ask.
    var json: String {
        let object: JSONObject = [
            "nodes": .integer(Int64(Set(endings.map(\.name)).count)),
            "published": .integer(Int64(published.lines)),
            "delivered": .integer(Int64(counted.lines)),
            "lost": .integer(Int64(lost)),
            "llm_requests": .integer(Int64(published.requests)),
            "llm_completed": .integer(Int64(published.completed)),
            "llm_by_worker": .object(["B": .integer(Int64(calls("b"))), "C": .integer(Int64(calls("c")))]),
            "tokens": .integer(Int64(published.tokens)),
            "publish_to_handler_p50_us": .double(counted.p50Microseconds),
            "publish_to_handler_p99_us": .double(counted.p99Microseconds),
            "spans_received": summary.map { .integer(Int64($0.spans)) } ?? .null,
            "traces_across_nodes": summary.map { .integer(Int64($0.tracesAcrossNodes)) } ?? .null,
        ]
        return JSONValue.object(object).text
    }
}
