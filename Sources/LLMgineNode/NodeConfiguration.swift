public import LLMgineBus
public import LLMgineCore
public import LLMgineTransport
import NIOCore

/// What a node is made with.
public struct NodeConfiguration: Sendable {
    /// What part a node takes in its cluster.
    public enum Kind: Sendable, Hashable {
        /// A member of the mesh.
        case core
        /// A short-lived client: it dials one seed, which relays for it, and is not a member.
        case leaf
    }

    /// The name, which the certificate must carry.
    public var name: NodeID
    /// The cluster, which the certificate must carry. Default `llmgine`.
    public var cluster: String
    /// Mesh member or client. Default core.
    public var kind: Kind
    /// `host:port` to listen on; nil for none. Default `0.0.0.0:7400` for core nodes. Port 0 lets the system choose.
    public var listen: String?
    /// `host:port` by which others reach this node. Default: the address it listens on, unless that is a wildcard.
    public var advertise: String?
    /// `host:port` of nodes to find the cluster by. They are dialled for ever.
    public var seeds: [String]
    /// Where its certificates are.
    public var certificates: CertificateSource
    /// What others may know it is good for, such as `worker`. At most 16.
    public var roles: [String]
    /// Where it runs. Default: none.
    public var zone: String
    /// How long the start waits to have joined one of the seeds. It goes on without and keeps dialling. A leaf waits no longer than it takes to
    /// be turned away by all of them. Default 2 s.
    public var joinTimeout: Duration
    /// How long a stop in a service group waits for handlers and requests. Default 10 s.
    public var stopDeadline: Duration
    /// The most payload bytes of one message over a link. Default 1 MiB, at most 16 MiB.
    public var maximumPayload: Int
    /// The most bytes that peers may have in the queues of this node's subscriptions, or be allowed to send there, with some room for each message
    /// beside its payload; up to a quarter of it is for events that this node keeps until peers acknowledge them. Default 256 MiB; at least 8 MiB and 4 times ``maximumPayload``.
    public var memoryBudget: Int
    /// Where events lie that go to the disk because a subscription is full and asks for that (``WhenFull/spill(maximumBytes:)``), here or on another node.
    /// It must exist, and the node must be able to write there. Default: the directory for temporary files, `TMPDIR` or `/tmp`.
    public var spillDirectory: String?
    /// How many bytes of the disk one subscription of another node may take, whatever it asks for. Default 1 GiB.
    public var maximumSpill: Int
    /// Threads that move bytes. Default: half of the cores, at least 1 and at most 4.
    public var eventLoops: Int
    /// Where scheduled events, approvals and dead letters of the node's bus outlive the process. Default: none.
    public var store: (any BusStore)?
    /// Where durable events of the node's bus outlive the process. Default: none.
    public var journal: (any EventJournal)?
    /// How often the certificate files are looked at for changes. Default 5 s.
    public var certificateCheck: Duration
    /// On which links to compress what is sent. Default: none. The node at the other end must want it, too.
    public var compression: LinkCompression
    /// How long a link may be silent before it is closed, with a PING each second. Default 5 s, at least 3 and at most 10 s.
    public var suspectAfter: Duration
    /// Who may publish and receive what. Default: everyone everything. See ``TopicPermission``.
    public var permissions: [TopicPermission]

    /// A configuration with the documented defaults.
    public init(
        name: NodeID, cluster: String = "llmgine", kind: Kind = .core, listen: String? = "0.0.0.0:7400", advertise: String? = nil,
        seeds: [String] = [],
        certificates: CertificateSource = .directory("certs"), roles: [String] = [], zone: String = "", joinTimeout: Duration = .seconds(2),
        stopDeadline: Duration = .seconds(10), maximumPayload: Int = 1 << 20, eventLoops: Int? = nil,
        memoryBudget: Int = 256 << 20, store: (any BusStore)? = nil, journal: (any EventJournal)? = nil,
        permissions: [TopicPermission] = [], certificateCheck: Duration = .seconds(5), compression: LinkCompression = .off,
        spillDirectory: String? = nil, maximumSpill: Int = 1 << 30, suspectAfter: Duration = .seconds(5)
    ) {
        self.suspectAfter = suspectAfter
        self.spillDirectory = spillDirectory
        self.maximumSpill = max(0, maximumSpill)
        self.name = name
        self.cluster = cluster
        self.kind = kind
        self.listen = kind == .leaf ? nil : listen
        self.advertise = advertise
        self.seeds = seeds
        self.certificates = certificates
        self.roles = roles
        self.zone = zone
        self.joinTimeout = joinTimeout
        self.stopDeadline = stopDeadline
        self.maximumPayload = maximumPayload
        self.memoryBudget = memoryBudget
        self.store = store
        self.journal = journal
        self.permissions = permissions
        self.compression = compression
        self.certificateCheck = max(certificateCheck, .milliseconds(10))
        self.eventLoops = eventLoops ?? min(4, max(1, System.coreCount / 2))
    }

    /// Half of the budget is for what floats, and the largest message must always find room there.
    package static func leastMemoryBudget(maximumPayload: Int) -> Int { max(8 << 20, maximumPayload * 4) }
}
