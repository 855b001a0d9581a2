public import LLMgineCore
public import LLMgineObservability
import Synchronization

/// The event bus of one process: events go to any number of handlers, commands to exactly one.
///
/// A bus is a value that you hold, made with ``init(configuration:)``; every node of a cluster has one. All of its methods may be called
/// from any task, and from inside handlers.
public final class MessageBus: Sendable {
    /// What the bus was made with.
    public let configuration: BusConfiguration
    /// Where spans, metrics and observed events of the bus go.
    public let observability: ObservabilityManager
    /// The events that handlers could not handle.
    public let deadLetters: DeadLetters
    let identity: BusIdentity
    let services: DeliveryServices
    let router = Router()
    package let timers: TimerQueue
    let sequence = Atomic<UInt64>(0)
    let nextSubscription = Atomic<UInt32>(1)
    let nextCommand = Atomic<UInt64>(0)
    /// Publishers that wait for room at this moment.
    let heldBack = Atomic<Int>(0)
    package let desk: RequestDesk
    let eventSchedule: EventSchedule
    let approvals: ApprovalDesk
    let store: (any BusStore)?
    /// Where durable events are written; nil without a journal.
    package let journal: JournalDesk?
    let registry = Mutex(Registry())
    let sessions = SessionTable()
    let filters = FilterList()
    let waits = WaitGraph()
    let lifecycle = Atomic<UInt8>(Lifecycle.running.rawValue)

    struct Registry {
        var subscriptions: [UInt32: Subscription] = [:]
        /// Subscriptions that take no more events, and whose queue is not handled or saved yet.
        var ending: [UInt32: Subscription] = [:]
        /// Subscriptions of ``subscriptions`` that nobody sends to any more.
        var withdrawn: Set<UInt32> = []
        /// Subscriptions may share a name. One is here before its counters are looked up, and the metrics of a name are observed and forgotten under this
        /// lock: what is forgotten is nobody's.
        var named: [String: Set<UInt32>] = [:]
        var commandHandlers: [String: CommandRegistration] = [:]
        /// Where other nodes ask for them.
        var commandResponders: [String: Responder] = [:]
        var cluster: (any ClusterAttachment)?
    }

    enum Lifecycle: UInt8 {
        case running, stopping, stopped
    }

    /// Creates a bus that is ready for use: there is nothing to start. An event is queued for the handlers that are subscribed when it is published,
    /// from the first moment on; one that is published before the first handler is subscribed has none, and its receipt says `matched: 0`.
    /// - Parameters:
    ///   - observability: where spans, metrics and observed events go. Default: its own, with tracing off.
    ///   - store: where scheduled events, approvals and dead letters outlive the process; ``resume()`` takes up what is there. Default: none.
    ///   - journal: where durable events outlive the process; each is delivered when its subscription is made again. Default: none.
    public init(
        configuration: BusConfiguration = BusConfiguration(), observability: ObservabilityManager? = nil, store: (any BusStore)? = nil,
        journal: (any EventJournal)? = nil
    ) {
        self.configuration = configuration
        self.observability = observability ?? ObservabilityManager()
        self.identity = BusIdentity(node: configuration.name, incarnation: configuration.incarnation)
        timers = TimerQueue()
        self.store = store
        self.journal = journal.map(JournalDesk.init)
        let contents = store?.takeContents() ?? StoreContents()
        deadLetters = DeadLetters(
            capacity: configuration.resilience.deadLetterCapacity, store: store, restored: contents.deadLetters)
        eventSchedule = EventSchedule(
            capacity: configuration.scheduleCapacity, timers: timers, store: store, restored: contents.scheduled)
        approvals = ApprovalDesk(
            capacity: configuration.approvalCapacity, timers: timers, store: store, restored: contents.approvals)
        let metrics = configuration.hasMetrics ? self.observability.metrics : MetricsRegistry()
        services = DeliveryServices(
            origin: identity, resilience: configuration.resilience, deadLetters: deadLetters, observability: self.observability,
            metrics: metrics, announcer: Announcer(metrics: metrics),
            spillDirectory: configuration.spillDirectory)
        desk = RequestDesk(node: configuration.name, timers: timers, tracer: self.observability.tracer)
        deadLetters.deliver { [weak self] letter, token in self?.redeliver(letter, token) ?? false }
        services.announcer.announce(on: self)
        observeGauges()
        observeOperations()
        takeUpJournal()
    }

    /// The name of the node that the bus belongs to.
    public var node: NodeID { identity.node }

    /// How many subscriptions there are.
    public var subscriptionCount: Int { registry.withLock { $0.subscriptions.count } }

    /// Whether publishers wait for a full subscription at this moment, here or on another node.
    public var isHoldingPublishersBack: Bool { heldBack.load(ordering: .relaxed) > 0 }

    /// Takes no new events, lets the handlers finish what is queued until the deadline, then ends all subscriptions.
    ///
    /// What is still queued then goes to the ``deadLetters``, with the error `stopped`. Handlers that run are cancelled and have half a second to
    /// return. One that does not is left behind with the event that it is at work on, which is in flight: it is not a dead letter, because it may
    /// still succeed. All that is behind it is saved.
    /// - Returns: how many events were still queued or in flight at the deadline, by subscription name. Empty when everything was handled.
    @discardableResult
    public func stop(deadline: Duration = .seconds(10)) async -> [String: Int] {
        let end = ContinuousClock.now.advanced(bySaturating: deadline)
        await endSessions(by: end)
        let (first, _) = lifecycle.compareExchange(
            expected: Lifecycle.running.rawValue, desired: Lifecycle.stopping.rawValue, ordering: .sequentiallyConsistent)
        guard first else { return [:] }
        let forgotten = ["scheduled events": eventSchedule.stop(), "approvals": approvals.stop()].filter { $0.value > 0 }
        let subscriptions = registry.withLock { Array($0.subscriptions.merging($0.ending) { one, _ in one }.values) }
        for subscription in subscriptions { subscription.subscriber.mailbox.close() }
        var left = forgotten
        for subscription in subscriptions where await !subscription.drained(until: end) {
            left[subscription.name, default: 0] += subscription.subscriber.mailbox.count + (subscription.subscriber.spill?.waiting ?? 0)
            subscription.giveUp()
        }
        let responders = desk.responders
        for responder in responders where await !responder.drained(until: end) { left[responder.name, default: 0] += 1 }
        // Handlers that are still at it have been cancelled; those that do not listen are left behind, and their queues saved from them.
        let patience = max(end, .now) + MessageBus.gracePeriod
        for subscription in subscriptions { await subscription.end(by: patience) }
        for responder in responders { await responder.cancel(by: patience) }
        desk.stop()
        await flushStore(by: .now + MessageBus.gracePeriod)  // a time of its own: a handler that did not listen has used up the other
        lifecycle.store(Lifecycle.stopped.rawValue, ordering: .sequentiallyConsistent)
        forgetCommandHandlers()
        deadLetters.finish()
        return left
    }

    /// How long a cancelled handler may take to return at ``stop(deadline:)``, and then the store to write what it was told.
    static let gracePeriod = Duration.milliseconds(500)

    func checkRunning() throws(LLMgineError) {
        guard lifecycle.load(ordering: .relaxed) == Lifecycle.running.rawValue else {
            throw LLMgineError(.stopped, "the bus of node \(node) has stopped")
        }
    }
}

/// What a bus is made with.
public struct BusConfiguration: Sendable {
    /// The name that events and spans carry. Default `local`.
    public var name: NodeID
    /// Which life of the node this is. Default: microseconds since 1970.
    public var incarnation: Incarnation
    /// What is done about handlers that fail. Default: retries, breakers and dead letters are on.
    public var resilience: BusResilience
    /// Whether the bus counts and measures what it does into its ``MessageBus/observability``. Default true.
    public var hasMetrics: Bool
    /// How long handlers of higher ``HandlerPriority`` numbers wait for one of a lower number to be done with an event. Then they go on, and wait for it no more until
    /// it has handled something. Default 30 s.
    public var handlerPatience: Duration
    /// Where the events of subscriptions lie that go to the disk when they are full. It must exist. Default: the directory for temporary files,
    /// `TMPDIR` or `/tmp`.
    public var spillDirectory: String
    /// How many scheduled events may wait for their time; one more is an error. Default 100,000.
    public var scheduleCapacity: Int
    /// How many approvals may be pending; one more is an error. Default 10,000.
    public var approvalCapacity: Int

    /// A configuration with the documented defaults.
    public init(
        name: NodeID = "local", incarnation: Incarnation? = nil, resilience: BusResilience = BusResilience(), hasMetrics: Bool = true,
        handlerPatience: Duration = .seconds(30), scheduleCapacity: Int = 100_000, approvalCapacity: Int = 10_000,
        spillDirectory: String? = nil
    ) {
        self.spillDirectory = spillDirectory ?? SpillFile.temporaryDirectory
        self.name = name
        self.handlerPatience = handlerPatience
        self.scheduleCapacity = max(0, scheduleCapacity)
        self.approvalCapacity = max(0, approvalCapacity)
        self.resilience = resilience
        self.hasMetrics = hasMetrics
        self.incarnation = incarnation ?? BusConfiguration.incarnationNow()
    }

    private static func incarnationNow() -> Incarnation {
        let (seconds, attoseconds) = SystemClock.sinceEpoch().components
        return Incarnation(UInt64(max(0, seconds)) &* 1_000_000 &+ UInt64(max(0, attoseconds)) / 1_000_000_000_000)
    }
}
