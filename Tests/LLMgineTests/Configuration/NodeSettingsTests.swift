import Foundation
import LLMgine
import Testing

@Suite struct `Settings of a node` {
    /// Loads from a file with the given text.
    private func load(_ yaml: String, environment: [String: String] = [:], flags: [(key: String, value: String)] = []) throws
        -> LoadedSettings
    {
        let file = NSTemporaryDirectory() + "llmgine-settings-\(UUID().uuidString).yaml"
        try yaml.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        do {
            return try NodeSettings.load(file: file, environment: environment, flags: flags)
        } catch {
            throw LLMgineError(error.code, error.detail.replacing(file, with: "FILE"))
        }
    }

    private func refusal(_ yaml: String, environment: [String: String] = [:], flags: [(key: String, value: String)] = []) -> String {
        do {
            return "no error, but \(try load(yaml, environment: environment, flags: flags))"
        } catch let error as LLMgineError {
            #expect(error.code == .invalidConfiguration)
            return error.detail
        } catch {
            return "another error: \(error)"
        }
    }

    @Test func `are the defaults when nothing is said`() throws {
        let loaded = try NodeSettings.load(environment: [:])
        #expect(loaded.settings == NodeSettings())
        #expect(loaded.origins.isEmpty)
        #expect(loaded.remarks.isEmpty)
    }

    @Test func `keep no journal unless a file, the environment or a flag names one`() throws {
        #expect(try load("node: {}").settings.journal.path.isEmpty)
        let file = "journal: {path: /var/j, maximumBytes: 64MiB, retention: 60s}"
        let journal = try load(file).settings.journal
        #expect((journal.path, journal.maximumBytes, journal.retention) == ("/var/j", 64 << 20, .seconds(60)))
        let environment = ["LLMGINE_JOURNAL_PATH": "/env/j", "LLMGINE_JOURNAL_MAXIMUM_BYTES": "1MiB"]
        #expect(try load(file, environment: environment).settings.journal.path == "/env/j")
        #expect(try load(file, environment: environment).settings.journal.maximumBytes == 1 << 20)
        #expect(try load(file, environment: environment, flags: [(key: "journal.path", value: "/f/j")]).settings.journal.path == "/f/j")
        #expect(refusal("journal: {maximumBytes: 1KiB}").contains("journal.maximumBytes"))
    }

    @Test func `come from every kind of value in a file`() throws {
        let loaded = try load(
            """
            node:
              name: a
              roles: [worker, counter]
              seeds:
                - 10.0.0.1:7400
                - "[fd00::1]:7400"
            worker:
              slots: 8
            telemetry:
              samplingRatio: 0.25
              console: true
            log:
              level: debug
              format: json
            links:
              compression: auto
            limits:
              maximumPayload: 64KiB
              stopDeadline: 1500ms
            """)
        #expect(loaded.settings.node.name == "a")
        #expect(loaded.settings.node.roles == ["worker", "counter"])
        #expect(loaded.settings.node.seeds == ["10.0.0.1:7400", "[fd00::1]:7400"])
        #expect(loaded.settings.worker.slots == 8)
        #expect(loaded.settings.telemetry.samplingRatio == 0.25)
        #expect(loaded.settings.telemetry.console)
        #expect(loaded.settings.log.level == .debug)
        #expect(loaded.settings.log.format == .json)
        #expect(loaded.settings.links.compression == .auto)
        #expect(loaded.settings.limits.maximumPayload == 65_536)
        #expect(loaded.settings.limits.stopDeadline == .milliseconds(1500))
        #expect(loaded.settings.node.listen == "0.0.0.0:7400")
    }

    @Test func `come from flags before the environment before the file`() throws {
        let file = "node:\n  name: file\n  zone: file\n  cluster: file\n"
        let loaded = try load(
            file, environment: ["LLMGINE_NODE_NAME": "variable", "LLMGINE_NODE_ZONE": "variable"], flags: [("node.name", "flag")])
        #expect(loaded.settings.node.name == "flag")
        #expect(loaded.settings.node.zone == "variable")
        #expect(loaded.settings.node.cluster == "file")
        #expect(loaded.origins["node.name"] == "flag")
        #expect(loaded.origins["node.zone"] == "LLMGINE_NODE_ZONE")
    }

    @Test func `in the environment are text for every kind`() throws {
        let loaded = try NodeSettings.load(environment: [
            "LLMGINE_NODE_SEEDS": "a:1, b:2", "LLMGINE_NODE_ROLES": "", "LLMGINE_WORKER_SLOTS": "2",
            "LLMGINE_TELEMETRY_SAMPLING_RATIO": "0.5",
            "LLMGINE_TELEMETRY_CONSOLE": "true", "LLMGINE_LIMITS_STOP_DEADLINE": "2m", "LLMGINE_LINKS_COMPRESSION": "on",
        ])
        #expect(loaded.settings.node.seeds == ["a:1", "b:2"])
        #expect(loaded.settings.node.roles == [])
        #expect(loaded.settings.worker.slots == 2)
        #expect(loaded.settings.telemetry.samplingRatio == 0.5)
        #expect(loaded.settings.telemetry.console)
        #expect(loaded.settings.limits.stopDeadline == .seconds(120))
        #expect(loaded.settings.links.compression == .on)
    }

    @Test(arguments: [
        ("node:\n  lisen: x:1\n", "unknown key \"node.lisen\" (FILE): did you mean node.listen?"),
        ("worker:\n  slot: 1\n", "unknown key \"worker.slot\" (FILE): did you mean worker.slots?"),
        ("telemetry:\n  sampling_ratio: 1\n", "unknown key \"telemetry.sampling_ratio\" (FILE): did you mean telemetry.samplingRatio?"),
        ("listen: x:1\n", "unknown key \"listen\" (FILE): did you mean node.listen?"),
        ("node:\n  tls:\n    off: true\n", "unknown key \"node.tls.off\" (FILE): llmgine node --check lists the keys"),
    ])
    func `refuse an unknown key and name the nearest`(yaml: String, reason: String) {
        #expect(refusal(yaml) == reason)
    }

    @Test(arguments: [
        ("worker:\n  slots: many\n", "worker.slots (FILE): expected a whole number from 0 to 1024"),
        ("worker:\n  slots: -1\n", "worker.slots (FILE): expected a whole number from 0 to 1024"),
        ("worker:\n  slots: 99999999999999999999\n", "worker.slots (FILE): expected a whole number from 0 to 1024"),
        ("node:\n  seeds: 10.0.0.1:7400\n", "node.seeds (FILE): expected a list of host:port, not port 0"),
        ("node:\n  seeds: [10.0.0.1]\n", "node.seeds (FILE): expected a list of host:port, not port 0; \"10.0.0.1\" is none"),
        ("node:\n  seeds: [10.0.0.1:0]\n", "node.seeds (FILE): expected a list of host:port, not port 0; \"10.0.0.1:0\" is none"),
        ("node:\n  advertise: a:0\n", "node.advertise (FILE): expected host:port, not port 0"),
        ("node:\n  listen: 127.0.0.1:+7400\n", "node.listen (FILE): expected host:port"),
        ("node:\n  listen: 7400\n", "node.listen (FILE): expected host:port"),
        ("node:\n  listen: host:70000\n", "node.listen (FILE): expected host:port"),
        ("telemetry:\n  console: sometimes\n", "telemetry.console (FILE): expected true or false"),
        ("telemetry:\n  samplingRatio: 2\n", "telemetry.samplingRatio (FILE): expected a number from 0 to 1"),
        ("log:\n  level: loud\n", "log.level (FILE): expected one of trace, debug, info, notice, warning, error, critical"),
        ("links:\n  suspectAfter: 2s\n", "links.suspectAfter (FILE): expected a time from 3s to 10s, as 500ms, 10s or 2m"),
        ("links:\n  compression: zstd\n", "links.compression (FILE): expected one of off, on, auto"),
        ("limits:\n  maximumPayload: 64MiB\n", "limits.maximumPayload (FILE): expected a size from 1KiB to 16MiB, as 65536, 64KiB or 1MiB"),
        ("limits:\n  stopDeadline: 10\n", "limits.stopDeadline (FILE): expected a time from 0ms to 10m, as 500ms, 10s or 2m"),
    ])
    func `say what was expected where a value cannot be used`(yaml: String, reason: String) {
        #expect(refusal(yaml) == reason)
    }

    @Test(arguments: [
        ("- a\n- b\n", ["Top level YAML value is not a mapping"]),
        ("node: {name: a\n", ["2:1", "while parsing a flow mapping in line 1, column 7", "did not find expected ',' or '}'"]),
        ("node:\n\tname: secret\n", ["2:1", "found character that cannot start any token"]),
        ("node:\n  name: secret\n  name: b\n", ["duplicated key(s): 'name'", "in line 2, column 3"]),
        ("node:\n  name: a\n  name: secret", ["duplicated key(s): 'name'", "in line 2, column 3"]),
        ("node: {name: a}\n--- # secret\nworker: {slots: 1}\n", ["2:1", "but found another document"]),
        ("node:\n  seeds:\n    - a: secret\n", ["non-scalar value in array at node.seeds at index: 0"]),
    ])
    func `say what is wrong with a file that is not the YAML that was expected, and show nothing of it`(yaml: String, words: [String]) {
        let detail = refusal(yaml)
        #expect(detail.hasPrefix("FILE: is not the YAML that was expected (sections with keys): "), "\(detail)")
        for word in words { #expect(detail.contains(word), "\(detail)") }
        #expect(!detail.contains("secret") && !detail.contains("\n"), "\(detail)")
    }

    @Test(arguments: ["", "\n", "# nothing yet\n\n  # at all", "---\n# nothing\n"])
    func `are the defaults where a file says nothing`(yaml: String) throws {
        #expect(try load(yaml).settings == NodeSettings())
    }

    @Test func `name the environment and the command line where those are wrong`() {
        #expect(
            refusal("node:\n  name: a\n", environment: ["LLMGINE_WORKER_SLOTS": "x"])
                == "worker.slots (in the environment): expected a whole number from 0 to 1024")
        #expect(
            refusal("node:\n  name: a\n", flags: [("node.nme", "x")])
                == "unknown key \"node.nme\" (on the command line): did you mean node.name?")
    }

    @Test func `remark on a variable that is none, and let the node start`() throws {
        let loaded = try NodeSettings.load(environment: ["LLMGINE_NODE_NMAE": "a", "LLMGINE_CERTS": "certs", "PATH": "/bin"])
        #expect(
            loaded.remarks == [
                "the environment variable LLMGINE_NODE_NMAE is not a setting and is ignored; did you mean LLMGINE_NODE_NAME?"
            ])
    }

    @Test func `name the file that is not there`() {
        let error = #expect(throws: LLMgineError(.invalidConfiguration, "")) {
            try NodeSettings.load(file: "/nowhere/node.yaml", environment: [:])
        }
        #expect(error?.detail == "/nowhere/node.yaml: No such file or directory")
    }

    @Test func `say why a file cannot be read`() {
        func detail(_ path: String) -> String? {
            let error = #expect(throws: LLMgineError(.invalidConfiguration, "")) { try NodeSettings.load(file: path, environment: [:]) }
            return error?.detail
        }
        #expect(detail("/tmp") == "/tmp: is a directory")
        #expect(detail("/dev/null/node.yaml") == "/dev/null/node.yaml: Not a directory")
    }

    @Test(.enabled(if: geteuid() != 0, "root may read everything"))
    func `say that a file may not be read`() throws {
        let file = NSTemporaryDirectory() + "llmgine-settings-\(UUID().uuidString).yaml"
        defer { try? FileManager.default.removeItem(atPath: file) }
        #expect(FileManager.default.createFile(atPath: file, contents: Data(), attributes: [.posixPermissions: 0]))
        let error = #expect(throws: LLMgineError(.invalidConfiguration, "")) { try NodeSettings.load(file: file, environment: [:]) }
        #expect(error?.detail == "\(file): Permission denied")
    }

    @Test func `hold topic permissions as sentences`() throws {
        let loaded = try load(
            "permissions:\n  - node shop may publish orders.> except orders.secret.>\n  - everyone may subscribe >\n",
            environment: ["LLMGINE_WORKER_SLOTS": "1"])
        #expect(
            loaded.settings.permissions == [
                TopicPermission(.node("shop"), may: .publish, ["orders.>"], except: ["orders.secret.>"]),
                TopicPermission(.everyone, may: .subscribe, [">"]),
            ])
        #expect(
            loaded.explanation.contains("permissions: [node shop may publish orders.> except orders.secret.>, everyone may subscribe >]"))
        #expect(refusal("permissions:\n  - node shop may shout a\n").contains("\"may publish\" or \"may subscribe\" comes next"))
        #expect(
            try NodeSettings.load(environment: ["LLMGINE_PERMISSIONS": "everyone may publish a.>, everyone may subscribe b"])
                .settings.permissions.count == 2)
    }

    @Test func `lose no rule to an empty sentence`() throws {
        let rule = "permissions: [everyone may publish a]\n"
        let empty = "a rule is empty; only [] in the file means no rules"
        #expect(refusal("permissions: ['']\n").hasSuffix(empty))
        #expect(refusal("permissions: ['  ', everyone may publish a]\n").hasSuffix(empty))
        #expect(refusal(rule, environment: ["LLMGINE_PERMISSIONS": ""]).hasSuffix(empty))
        #expect(refusal(rule, environment: ["LLMGINE_PERMISSIONS": "everyone may publish a,"]).hasSuffix(empty))
        #expect(refusal(rule, flags: [("permissions", "")]).hasSuffix(empty))
        #expect(try load("permissions: []\n").settings.permissions == [])
        #expect(try load(rule).settings.permissions.count == 1)
    }

    @Test func `explain themselves, one line each`() throws {
        let loaded = try load("node:\n  name: a\n", environment: ["LLMGINE_WORKER_SLOTS": "9"])
        let lines = loaded.explanation.split(separator: "\n")
        #expect(lines.count == Setting.all.count)
        #expect(lines.contains { $0.hasPrefix("worker.slots: 9") && $0.contains("LLMGINE_WORKER_SLOTS") })
        #expect(lines.contains { $0.hasPrefix("node.listen: \"0.0.0.0:7400\"") && $0.contains("# default; ") })
    }

    @Test func `have a variable each, and none twice`() {
        #expect(Set(Setting.all.map(\.variable)).count == Setting.all.count)
        #expect(Setting.all.first { $0.key == "telemetry.samplingRatio" }?.variable == "LLMGINE_TELEMETRY_SAMPLING_RATIO")
    }
}
