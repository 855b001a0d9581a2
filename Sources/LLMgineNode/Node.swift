import LLMgineBroker
public import LLMgineBus
public import LLMgineCore
import LLMgineLink
import LLMgineMembership
public import LLMgineObservability
import LLMgineRouting
import LLMgineTransport
import LLMgineWire
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle
import Synchronization

/// One member of a cluster: a local bus that peers can reach.
///
/// ```swift
/// let node = try await Node(configuration: .init(name: "a", seeds: ["10.0.0.1:7400"], certificates: .directory("certs")))
/// try await node.bus.publish(OrderPlaced(id: 7), to: "orders.eu.placed")
/// ```
public final class Node: Service, Sendable {
    /// What the node was made with.
    public let configuration: NodeConfiguration
    /// The bus: what is published on it reaches subscribers on every node.
    public let bus: MessageBus
    /// Spans, metrics and observed events of this node, for handlers and exporters.
    public let observability: ObservabilityManager
    /// Which life of the node this is.
    public let incarnation: Incarnation

    let logger: Logger
    let group: MultiThreadedEventLoopGroup
    /// Runs tasks on a thread that reads and writes the node's links.
    ///
    /// A task that prefers it (`withTaskExecutorPreference(node.executor) { ... }`) publishes to other nodes without handing anything to another thread, which
    /// matters where publishing is most of what it does: 1.9 million messages a second where it was 1.2, on two cores (`bench/README.md`, P3). It must not
    /// block and not compute for long, because nothing on these links moves meanwhile. With the node it ends: prefer it for no task that outlives ``stop(deadline:)``.
    public let executor: any TaskExecutor
    /// All inputs of the broker machine run here, in order.
    let control: any EventLoop
    let machine: NIOLoopBoundBox<BrokerMachine>
    let state = Mutex(State())
    let isStopped = Atomic<Bool>(false)
    /// What other modules keep with a node: the LLM client, for example.
    private let attachments = Mutex<[ObjectIdentifier: any Sendable]>([:])
    private let epoch = ContinuousClock.now
    /// What HELLO says where this node can be reached; known once the port is bound.
    private let advertised = Mutex("")
    /// Who may publish and receive what.
    let permissions: PermissionTable
    /// What this node itself is allowed; nil if no rule is about it.
    var ownGrant: TopicGrant? { certifiedGrant.withLock { $0 } }
    /// Changes with the roles of its certificate.
    let certifiedGrant: Mutex<TopicGrant?>
    /// Held while certificates are loaded anew.
    let reloading = Mutex(())
    /// What peers may have under way to one subscription, in payload bytes: enough for any one message.
    let windowBytes: UInt64
    /// The memory that peers may fill.
    let credit: CreditOffice
    /// What is kept for subscriptions of other nodes that have their events at least once.
    let outlets: Outlets

    struct State {
        var links: [LinkID: PeerLink] = [:]
        /// Connections whose handshake ended well, until the broker has decided.
        var candidates: [LinkID: PeerLink] = [:]
        var subscribers: [UInt32: AnySubscriber] = [:]
        var inlets: [UInt32: Inlet] = [:]
        var dials: [UInt64: String] = [:]
        var listener: LinkListener?
        var relays: [LinkID: LeafRelay] = [:]
        var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
        /// Who is told of links to other nodes that come and go.
        var watchers: [UInt64: AsyncStream<PeerChange>.Continuation] = [:]
        var hasLostPeer = false
        var nextWaiter: UInt64 = 0
        var joined: [CheckedContinuation<Void, Never>] = []
        var hasJoined = false
        var interest: (version: UInt64, hash: UInt64) = (0, 0)
        var endpoint: LinkEndpoint?
        var certificates: CertificateWatch?
        /// When the log last spoke of connections that are turned away.
        var saidRefused = Duration.seconds(-10)
        var stopWaiters: [CheckedContinuation<Void, Never>] = []
        /// What the stop has left, once it is over, and whoever asked for it again in the meantime.
        var left: [String: Int]?
        var stoppers: [CheckedContinuation<[String: Int], Never>] = []
        /// Of a leaf, why each seed turned it away the last time. At most as many as there are seeds.
        var refusals: [String: LLMgineError] = [:]
    }

    /// Starts a node: it listens, dials its seeds, and returns once it has joined one of them or `joinTimeout` has passed.
    /// - Throws: `tlsFailure` or `identityRefused` for certificates that cannot be used, `connectionClosed` when the port is taken,
    ///   `invalidArgument` for a seed, `listen` or `advertise` that is no address, `invalidConfiguration`.
    public init(
        configuration: NodeConfiguration, observability: ObservabilityManager? = nil, logger: Logger? = nil
    ) async throws(LLMgineError) {
        let settings = try StartSettings(configuration)
        self.configuration = configuration
        let busConfiguration = BusConfiguration(name: configuration.name, spillDirectory: configuration.spillDirectory)
        self.incarnation = busConfiguration.incarnation
        self.observability = observability ?? ObservabilityManager()
        self.bus = MessageBus(
            configuration: busConfiguration, observability: self.observability, store: configuration.store, journal: configuration.journal)
        var log = logger ?? Logger(label: "llmgine.node")
        log[metadataKey: "node"] = "\(configuration.name)"
        self.logger = log
        self.group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, configuration.eventLoops))
        self.control = group.next()
        self.executor = LinkTaskExecutor(control)
        self.permissions = PermissionTable(configuration.permissions)
        self.certifiedGrant = Mutex(permissions.grant(for: configuration.name, roles: settings.material.roles))
        self.windowBytes = max(4 << 20, UInt64(configuration.maximumPayload) * 2)
        self.credit = CreditOffice(bytes: UInt64(configuration.memoryBudget))
        self.outlets = Outlets(
            bus: bus, limits: WireLimits(maximumPayload: configuration.maximumPayload), services: Node.outletServices(bus, credit))
        let own = MemberRecord(
            node: configuration.name, incarnation: incarnation, address: settings.advertised, zone: configuration.zone,
            roles: configuration.roles)
        let broker = BrokerMachine(
            BrokerMachine.Configuration(own: own, kind: configuration.kind == .leaf ? .leaf : .core, seeds: configuration.seeds))
        self.machine = .makeBoxSendingValue(broker, eventLoop: control)
        do throws(LLMgineError) {
            try await start(settings)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private func start(_ settings: StartSettings) async throws(LLMgineError) {
        for remark in settings.material.remarks { logger.warning("certificate", metadata: ["remark": "\(remark)"]) }
        let limits = WireLimits(maximumPayload: configuration.maximumPayload)
        var address = settings.advertised
        let endpoint = LinkEndpoint(
            material: settings.material, limits: limits, group: group,
            settings: LinkSettings(suspectAfter: configuration.suspectAfter), compression: configuration.compression
        ) { [self] in
            HelloFrame(
                cluster: configuration.cluster, node: configuration.name, incarnation: incarnation, zone: configuration.zone,
                roles: configuration.roles,
                advertisedAddress: advertised.withLock { $0 }, kind: configuration.kind == .leaf ? .leaf : .core, limits: limits,
                build: LLMgineVersion.text)
        }
        if let listen = settings.listen {
            let listener = try await endpoint.listen(on: listen, delegate: self)
            state.withLock { $0.listener = listener }
            if configuration.advertise == nil, let bound = listener.address, !listen.isWildcard { address = bound.description }
            logger.info(
                "listening", metadata: ["address": "\(listener.address?.description ?? "?")", "cluster": "\(configuration.cluster)"])
        }
        advertised.withLock { [address] in $0 = address }
        state.withLock { $0.endpoint = endpoint }
        enforcePermissions()
        watchCertificates()
        bus.attach(self)
        try await respondToAdministration()
        let known = address
        control.execute { [self] in
            machine.value.advertised(known)
            drive { $0.started(at: elapsed, into: &$1) }
            tickLater()
            tickCredit()
        }
        if !configuration.seeds.isEmpty, !configuration.seeds.allSatisfy({ $0 == known }) { await waitUntilJoined() }
    }

    var elapsed: Duration { .now - epoch }

    /// Where it listens, with the port that was really bound; nil when it does not.
    public var listeningAddress: String? { state.withLock { $0.listener?.address?.description } }

    /// The nodes that it has a link to now, leaves left out.
    public var peers: [NodeID] { state.withLock { $0.links.values.filter { !$0.isLeaf }.map(\.peer).sorted() } }

    /// Of a leaf, why the last seed turned it away; nil if none has, and while it has a link.
    public var refusal: LLMgineError? {
        state.withLock { state in state.links.isEmpty ? configuration.seeds.reversed().compactMap { state.refusals[$0] }.first : nil }
    }

    /// A seed turned this node away. A leaf has nobody else to ask, so its start need not wait once all have.
    func turnedAway(by seed: String, _ error: LLMgineError) {
        guard configuration.kind == .leaf, configuration.seeds.contains(seed) else { return }
        let isAlone = state.withLock { state in
            state.refusals[seed] = error
            return configuration.seeds.allSatisfy { state.refusals[$0] != nil }
        }
        if isAlone { joined() }
    }

    /// Something that another module keeps with the node, made at its first use.
    package func attachment<Value: Sendable>(_ type: Value.Type, make: () -> Value) -> Value {
        attachments.withLock { attachments in
            if let known = attachments[ObjectIdentifier(type)] as? Value { return known }
            let made = make()
            attachments[ObjectIdentifier(type)] = made
            return made
        }
    }

    // MARK: Life

    /// Runs until the surrounding service group shuts down gracefully, then stops. The node works without, too.
    public func run() async throws {
        await withGracefulShutdownHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    guard !isStopped.load(ordering: .relaxed) else { return true }
                    state.stopWaiters.append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onGracefulShutdown: {
            self.wakeStopWaiters()
        }
        await stop(deadline: configuration.stopDeadline)
    }

    private func wakeStopWaiters() {
        let waiters = state.withLock { state in
            let waiters = state.stopWaiters
            state.stopWaiters = []
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Leaves the cluster: peers send no new work, handlers and requests finish until the deadline, then the links close.
    /// A second call waits for the first, whose deadline counts, and returns the same.
    /// - Returns: what was still queued at the deadline, by subscription or peer; empty when nothing was lost.
    @discardableResult
    public func stop(deadline: Duration = .seconds(10)) async -> [String: Int] {
        let (first, _) = isStopped.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent)
        guard first else { return await leftByFirstStop() }
        logger.info("leaving", metadata: ["deadline": "\(deadline)"])
        let listener = state.withLock { $0.listener }
        await listener?.close()
        await onControl { $0.leaveStarted(at: self.elapsed, deadline: min(deadline, .seconds(86_400)) + Node.closingGrace, into: &$1) }
        let end = ContinuousClock.now.advanced(bySaturating: deadline)
        var left = await bus.stop(deadline: deadline)
        left.merge(await outlets.drained(until: end), uniquingKeysWith: +)
        outlets.stop()
        left.merge(await outboxesDrained(until: end), uniquingKeysWith: +)
        endWaits()  // while their peers are still linked: those who wait would take the end of the links for success
        await onControl { $0.leaveFinished(into: &$1) }
        let links = state.withLock { Array($0.links.values) + Array($0.candidates.values) }
        for link in links { link.connection.close(.shuttingDown) }
        await allLinksClosed(within: Node.closingGrace)
        try? await group.shutdownGracefully()
        wakeStopWaiters()
        logger.info("stopped", metadata: ["undelivered": "\(left.values.reduce(0, +))"])
        noteStopped(leaving: left)
        return left
    }

    private func leftByFirstStop() async -> [String: Int] {
        await withCheckedContinuation { continuation in
            let left = state.withLock { state in
                if state.left == nil { state.stoppers.append(continuation) }
                return state.left
            }
            if let left { continuation.resume(returning: left) }
        }
    }

    private func noteStopped(leaving left: [String: Int]) {
        let stoppers = state.withLock { state in
            state.left = left
            defer { state.stoppers = [] }
            return state.stoppers
        }
        for stopper in stoppers { stopper.resume(returning: left) }
    }

    /// How long after the deadline of a stop the last link is closed.
    private static let closingGrace = Duration.seconds(2)

    /// Waits until what was published is on its way to the peers. - Returns: what is left at the deadline, by peer.
    private func outboxesDrained(until end: ContinuousClock.Instant) async -> [String: Int] {
        while true {
            let links = state.withLock { Array($0.links.values) }
            let left = links.map { ($0.peer.name, $0.connection.read { $0.queued.reduce(0) { $0 + $1.messages } }) }.filter { $0.1 > 0 }
            if left.isEmpty || ContinuousClock.now >= end { return Dictionary(left, uniquingKeysWith: +) }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }

    private func allLinksClosed(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end, state.withLock({ !$0.links.isEmpty }) {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private func waitUntilJoined() async {
        let timer = bus.timers.schedule(at: .now + configuration.joinTimeout) { [weak self] in self?.joined() }
        await withCheckedContinuation { continuation in
            let isJoined = state.withLock { state in
                if !state.hasJoined { state.joined.append(continuation) }
                return state.hasJoined
            }
            if isJoined { continuation.resume() }
        }
        bus.timers.cancel(timer)
        if peers.isEmpty {
            logger.warning("no seed has answered yet; dialling on", metadata: ["seeds": "\(configuration.seeds.joined(separator: " "))"])
        }
    }

    /// The first peer's interest is known, or the time for it is over.
    func joined() {
        let waiters = state.withLock { state in
            state.hasJoined = true
            let waiters = state.joined
            state.joined = []
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// What has to be right before anything is started.
private struct StartSettings {
    let material: TLSMaterial
    let listen: HostPort?
    let advertised: String

    init(_ configuration: NodeConfiguration) throws(LLMgineError) {
        guard NodeID.isValid(configuration.cluster) else {
            throw LLMgineError(.invalidConfiguration, "\"\(configuration.cluster.printable)\" cannot name a cluster")
        }
        guard configuration.zone.isEmpty || NodeID.isValid(configuration.zone), configuration.roles.count <= WireLimits.roles,
            configuration.roles.allSatisfy(NodeID.isValid)
        else {
            throw LLMgineError(
                .invalidConfiguration, "zone and roles are names of 1 to 63 of a-z A-Z 0-9 - _ . and there are at most 16 roles")
        }
        for seed in configuration.seeds { _ = try StartSettings.dialable(seed) }
        guard WireLimits.payloadRange.contains(configuration.maximumPayload) else {
            throw LLMgineError(.invalidConfiguration, "the maximum payload is \(configuration.maximumPayload), expected 1 KiB to 16 MiB")
        }
        guard configuration.memoryBudget >= NodeConfiguration.leastMemoryBudget(maximumPayload: configuration.maximumPayload) else {
            throw LLMgineError(
                .invalidConfiguration,
                "the memory budget is \(configuration.memoryBudget) bytes, expected 8 MiB or more, and 4 times the maximum payload")
        }
        guard configuration.kind == .core || !configuration.seeds.isEmpty else {
            throw LLMgineError(.invalidConfiguration, "a leaf needs the address of a node to connect to")
        }
        if let directory = configuration.spillDirectory {
            do throws(LLMgineError) { try SpillFile.check(directory) } catch {
                throw LLMgineError(.invalidConfiguration, "the spill directory cannot be used: \(error.detail)")
            }
        }
        let listen = try configuration.listen.map(HostPort.init)
        self.listen = listen
        if let advertise = configuration.advertise {
            advertised = try StartSettings.dialable(advertise).description
        } else {
            advertised = listen.map { $0.isWildcard || $0.port == 0 ? "" : $0.description } ?? ""
        }
        let material = try TLSMaterial(loading: configuration.certificates)
        guard material.identity.node == configuration.name, material.identity.cluster == configuration.cluster else {
            throw LLMgineError(
                .identityRefused,
                "the certificate is for \(material.identity), the configuration says llmgine://\(configuration.cluster)/\(configuration.name)"
            )
        }
        self.material = material
    }

    private static func dialable(_ text: String) throws(LLMgineError) -> HostPort {
        let address = try HostPort(text)
        guard address.isDialable else {
            throw LLMgineError(.invalidConfiguration, "\"\(text.printable)\" cannot be dialled: port 0 is for listening only")
        }
        return address
    }
}
