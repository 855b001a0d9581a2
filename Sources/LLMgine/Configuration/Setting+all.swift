import LLMgineCore

import struct LLMgineTransport.HostPort

extension Setting {
    /// Every setting there is, in the order in which people think of them. A key that is not here is an error.
    public static let all: [Setting] = [
        .text(
            "node.name", \.node.name, "The node's name in the cluster; empty takes the one in its certificate, any other must equal it.",
            expected: nameRule, where: NodeID.isValid),
        .text(
            "node.cluster", \.node.cluster, "The cluster's name; empty takes the one in the certificate, any other must equal it.",
            expected: nameRule, where: NodeID.isValid),
        .text("node.zone", \.node.zone, "Where the node stands, such as a data centre.", expected: nameRule, where: NodeID.isValid),
        .list(
            "node.roles", \.node.roles, "What the node is for, seen by its peers; \"worker\" makes it run LLM calls.",
            expected: "a list of names", where: NodeID.isValid),
        .text(
            "node.listen", \.node.listen, "Where the node accepts links; port 0 picks a free one, empty accepts none.",
            expected: addressRule, where: isAddress),
        .text(
            "node.advertise", \.node.advertise, "The address that other nodes dial; empty derives it from node.listen.",
            expected: dialableRule, where: isDialable),
        .list(
            "node.seeds", \.node.seeds, "Nodes to find the cluster through; one that can be reached is enough.",
            expected: "a list of \(dialableRule)", where: isDialable),
        .text(
            "certificates.directory", \.certificates.directory,
            "Where ca.pem, node.pem and node.key are, as llmgine certs issue writes them."),
        .duration(
            "certificates.check", \.certificates.check,
            "How often those files are looked at; new ones come into use without an interruption. SIGHUP does it at once.",
            in: .milliseconds(100) ... .seconds(3600)),
        .number("worker.slots", \.worker.slots, "How many LLM calls run here at once, if the node has the role worker.", in: 0...1024),
        .list(
            "worker.providers", \.worker.providers,
            "What the worker offers: embedded needs no key, openai reads OPENAI_API_KEY and OPENAI_BASE_URL; empty is all that have what they need.",
            expected: "a list of embedded, openai", where: { ["embedded", "openai"].contains($0) }),
        .text(
            "telemetry.endpoint", \.telemetry.endpoint,
            "Where spans and metrics go by OTLP/HTTP, as http://host:4318; empty reads OTEL_EXPORTER_OTLP_ENDPOINT, and is off without it.",
            expected: "a URL with http or https", where: { $0.hasPrefix("http://") || $0.hasPrefix("https://") }),
        .ratio("telemetry.samplingRatio", \.telemetry.samplingRatio, "The part of new traces that is recorded."),
        .flag("telemetry.console", \.telemetry.console, "Whether what the node observes is printed on standard error as well."),
        .text(
            "store.path", \.store.path,
            "The SQLite file in which scheduled events, approvals and dead letters outlive the process; empty keeps nothing."),
        .flag("store.logEvents", \.store.logEvents, "Whether every event published on the node is written to the store as well."),
        .text(
            "journal.path", \.journal.path,
            "The directory in which durable events are written before a publish returns; empty keeps no journal, and durable publishes fail."
        ),
        .size(
            "journal.maximumBytes", \.journal.maximumBytes, "The most bytes of the journal; past it durable publishes fail.",
            in: 64 << 10...1 << 40),
        .duration(
            "journal.retention", \.journal.retention,
            "How long durable events wait for a subscription that is not there, before they go to the dead letters.",
            in: .zero ... .seconds(604_800)),
        .rules(
            "permissions", \.permissions,
            "Who may publish and subscribe to what, in sentences; empty allows every node of the cluster everything."),
        .choice("log.level", \.log.level, "The least level that is logged."),
        .choice("log.format", \.log.format, "Whether log lines are for people or one JSON object each."),
        .choice(
            "links.compression", \.links.compression,
            "On which links what is sent is compressed, if the other node wants it too; auto: those that leave loopback and private networks."
        ),
        .duration(
            "links.suspectAfter", \.links.suspectAfter,
            "How long a node may be silent before the link to it is closed as dead; suspect in llmgine nodes means 1.5 s.",
            in: .seconds(3) ... .seconds(10)),
        .size("limits.maximumPayload", \.limits.maximumPayload, "The largest payload of one message over a link.", in: 1 << 10...16 << 20),
        .size(
            "limits.memoryBudget", \.limits.memoryBudget,
            "What other nodes may have in this node's queues and on the way there, and what it keeps until they acknowledge it; at least 4 times limits.maximumPayload.",
            in: 8 << 20...1 << 40),
        .size(
            "limits.spill", \.limits.spill,
            "What one subscription of another node may take of the disk, if it asks for that when it is full.", in: 0...1 << 40),
        .text(
            "limits.spillDirectory", \.limits.spillDirectory,
            "The directory, which must exist, on whose disk events wait for subscriptions that ask for that; empty is the one for temporary files."
        ),
        .duration(
            "limits.stopDeadline", \.limits.stopDeadline, "How long a stop may take before what is left is dropped and counted.",
            in: .zero ... .seconds(600)),
    ]

    private static let nameRule = "1 to 63 of a-z A-Z 0-9 - _ . starting with a letter or digit"
    private static let addressRule = "host:port"
    private static let dialableRule = "host:port, not port 0"
    @Sendable private static func isAddress(_ text: String) -> Bool { (try? HostPort(text)) != nil }
    @Sendable private static func isDialable(_ text: String) -> Bool { (try? HostPort(text))?.isDialable ?? false }

    /// The known key that is nearest to a misspelt one or stands under another section, nil if none is near.
    static func nearest(to key: String, among keys: [String] = all.map(\.key)) -> String? {
        let candidates = keys.map { (key: $0, distance: Setting.distance(key.lowercased(), $0.lowercased())) }
        guard let best = candidates.min(by: { $0.distance < $1.distance }) else { return nil }
        if best.distance <= max(2, key.count / 3) { return best.key }
        return keys.first { $0.split(separator: ".").last == key.split(separator: ".").last }
    }

    /// How many letters must be inserted, removed or replaced to turn one text into the other.
    static func distance(_ one: String, _ other: String) -> Int {
        let other = Array(other)
        var row = Array(0...other.count)
        for (line, character) in one.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in other.indices {
                let substitution = diagonal + (other[column] == character ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(substitution, min(diagonal, row[column]) + 1)
            }
        }
        return row[other.count]
    }
}
