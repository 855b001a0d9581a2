public import struct LLMgineNode.TopicPermission
public import enum LLMgineTransport.LinkCompression

/// How a node runs, as far as an operator decides it: read from a YAML file, the environment and flags.
///
/// Every setting, with its default and what it means, stands once in ``Setting/all``; `llmgine node --check` prints that list with the
/// values in force and where each came from.
public struct NodeSettings: Sendable, Hashable {
    /// Who the node is and how others reach it.
    public struct Node: Sendable, Hashable {
        /// The name, empty to take the one in the certificate.
        public var name = ""
        /// The cluster, empty to take the one in the certificate.
        public var cluster = ""
        /// Where the node stands, for placement; free text of a node name's characters.
        public var zone = ""
        /// What the node is for; `worker` makes it run LLM calls.
        public var roles: [String] = []
        /// `host:port` to accept links on; port 0 picks a free one.
        public var listen = "0.0.0.0:7400"
        /// `host:port` that other nodes should dial, empty to derive it from what the node listens on.
        public var advertise = ""
        /// `host:port` of nodes to find the cluster through.
        public var seeds: [String] = []
    }

    /// Where the node's certificates are.
    public struct Certificates: Sendable, Hashable {
        /// A directory with `ca.pem`, `node.pem` and `node.key`.
        public var directory = ""
        /// How often they are looked at for changes.
        public var check = Duration.seconds(5)
    }

    /// What the node does as a worker.
    public struct Worker: Sendable, Hashable {
        /// How many LLM calls run here at once. 0 is no worker, whatever the roles.
        public var slots = 4
        /// The providers that the node offers; empty for all that the environment allows.
        public var providers: [String] = []
    }

    /// What the node reports about itself.
    public struct Telemetry: Sendable, Hashable {
        /// The OTLP/HTTP endpoint, empty for none.
        public var endpoint = ""
        /// The part of new traces that is recorded, from 0 to 1.
        public var samplingRatio = 1.0
        /// Whether what the node observes is printed on standard error as well.
        public var console = false
    }

    /// What of the node outlives its process.
    public struct Store: Sendable, Hashable {
        /// The SQLite file for scheduled events, approvals and dead letters; empty for none.
        public var path = ""
        /// Whether every event that is published on the node is written there as well.
        public var logEvents = false
    }

    /// Where durable events are written.
    public struct Journal: Sendable, Hashable {
        /// The directory of the journal; empty for none, which makes durable publishes fail.
        public var path = ""
        /// The most bytes that its files may have.
        public var maximumBytes = 1 << 30
        /// How long events wait for a subscription that is not there, after a start or after it has ended.
        public var retention = Duration.seconds(300)
    }

    /// What the node logs, on standard error.
    public struct Log: Sendable, Hashable {
        /// The least level that is logged.
        public var level = LogLevel.info
        /// How a line looks.
        public var format = LogFormat.text

        /// Says everything from `info` on, for people, unless told otherwise.
        public init(level: LogLevel = .info, format: LogFormat = .text) {
            self.level = level
            self.format = format
        }
    }

    /// How the node speaks with others.
    public struct Links: Sendable, Hashable {
        /// On which links what is sent is compressed, if the other node wants it, too.
        public var compression = LinkCompression.off
        /// How long a link may be silent before it is closed; 3 to 10 s.
        public var suspectAfter = Duration.seconds(5)
    }

    /// What the node takes at most.
    public struct Limits: Sendable, Hashable {
        /// The largest payload of one message over a link, in bytes; at most 16 MiB.
        public var maximumPayload = 1 << 20
        /// What other nodes may have in this node's queues and on the way there, in bytes; at least 8 MiB and 4 times `maximumPayload`.
        public var memoryBudget = 256 << 20
        /// How many bytes of the disk one subscription of another node may take that asks for that when it is full.
        public var spill = 1 << 30
        /// The directory where they lie, which must exist; empty for the one for temporary files.
        public var spillDirectory = ""
        /// How long a stop may take: what is not done by then is dropped and counted.
        public var stopDeadline = Duration.seconds(10)
    }

    /// Who the node is and how others reach it.
    public var node = Node()
    /// Where the node's certificates are.
    public var certificates = Certificates()
    /// What the node does as a worker.
    public var worker = Worker()
    /// What the node reports about itself.
    public var telemetry = Telemetry()
    /// What of the node outlives its process.
    public var store = Store()
    /// Where durable events are written.
    public var journal = Journal()
    /// What the node logs.
    public var log = Log()
    /// How the node speaks with others.
    public var links = Links()
    /// What the node takes at most.
    public var limits = Limits()
    /// Who may publish and subscribe to what; empty allows everyone everything.
    public var permissions: [TopicPermission] = []

    /// The defaults.
    public init() {}
}

/// How much is logged; the names are those of swift-log.
public enum LogLevel: String, Sendable, Hashable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

/// How a log line looks.
public enum LogFormat: String, Sendable, Hashable, CaseIterable {
    /// One line for people.
    case text
    /// One JSON object a line.
    case json
}
