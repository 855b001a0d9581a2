import LLMgine
import Logging
import Synchronization
import Testing

@Suite struct `A log line` {
    /// What a logger writes at one moment.
    private func written(_ settings: NodeSettings.Log, _ log: (Logger) -> Void) -> String {
        let text = Mutex("")
        var logger = Logger(label: "llmgine.node") { label in
            NodeLogHandler(label: label, settings: settings, clock: { 1_000_000_000 * 86_400 + 5_000 }) { line in
                text.withLock { $0 += line }
            }
        }
        logger[metadataKey: "node"] = "a"
        log(logger)
        return text.withLock { $0 }
    }

    @Test func `for people has the time, the level, who speaks, what happened and the particulars by name`() {
        let line = written(.init()) { $0.warning("link closed", metadata: ["peer": "b", "detail": "it fell silent", "empty": ""]) }
        #expect(line == "1970-01-02T00:00:00.000005Z warning llmgine.node: link closed detail=\"it fell silent\" node=a peer=b\n")
    }

    @Test func `for programs is one object`() {
        let line = written(.init(format: .json)) { $0.info("listening", metadata: ["address": "127.0.0.1:1", "quote": "\"\\\u{1}"]) }
        #expect(
            line == #"{"time":"1970-01-02T00:00:00.000005Z","level":"info","logger":"llmgine.node","message":"listening","#
                + #""address":"127.0.0.1:1","node":"a","quote":"\"\\\u0001"}"# + "\n")
    }

    @Test func `stays one line, whatever a peer puts into it`() {
        let line = written(.init()) { $0.error("odd\nname", metadata: ["peer": "x\n2026 info fake: line", "equals": "a=b"]) }
        #expect(
            line
                == "1970-01-02T00:00:00.000005Z error llmgine.node: \"odd\\nname\" equals=\"a=b\" node=a peer=\"x\\n2026 info fake: line\"\n"
        )
    }

    @Test func `below the level is not written`() {
        #expect(written(.init(level: .warning)) { $0.info("listening") } == "")
        #expect(written(.init(level: .debug)) { $0.trace("?") } == "")
    }
}
