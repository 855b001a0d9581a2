package import LLMgineCore
import LLMgineObservability
import LLMgineResilience
import Synchronization

/// What the router knows of a subscription on this node, whatever its type.
package class AnySubscriber: @unchecked Sendable {
    // Unchecked because Swift cannot check a class that is not final: every stored property here and in the one subclass is
    // immutable and itself Sendable.
    package let id: UInt32
    package let filters: [TopicFilter]
    package let options: SubscriptionOptions
    package let name: String
    /// The Swift type that the handler takes: `Message` for raw handlers.
    let valueType: ObjectIdentifier
    /// The wire name of the type, nil for raw handlers.
    let eventType: String?
    /// The wire names of the types that a handler of a family takes; nil for all others.
    let members: Set<String>?
    let statistics = SubscriptionStatistics()
    let mailbox: Mailbox
    /// What the consumer has taken out of the mailbox.
    let custody: Custody
    /// Where events wait that found no room in the mailbox; nil unless they go to the disk.
    let spill: SpillLine?
    let services: DeliveryServices
    let breaker: HandlerBreaker
    let meters: HandlerMeters
    /// Events of other nodes that nobody here will handle, and that their publisher keeps; nil unless the subscription has its events at least once.
    let unhandled: UnhandledEvents?
    /// The mark of the task that runs the handler.
    let consumer = Atomic<Int>(CurrentTask.none)
    /// Whether handlers of later stages have given up waiting for this one, until it has handled something.
    let isLate = Atomic<Bool>(false)

    init(
        id: UInt32, filters: [TopicFilter], options: SubscriptionOptions, layout: ValueLayout, eventType: String?,
        members: Set<String>?, services: DeliveryServices
    ) {
        let name = options.name ?? filters.map(\.text).joined(separator: ",")
        self.services = services
        self.breaker = options.relaysFor == nil ? services.breaker(for: name) : HandlerBreaker(nil) { _ in }
        self.meters = HandlerMeters(events: name, in: services.metrics)
        self.id = id
        self.filters = filters
        self.options = options
        self.name = name
        self.valueType = layout.type
        self.eventType = eventType
        self.members = members
        self.custody = Custody(layout)
        var queue = options.queue
        if !services.resilience.hasBoundedQueues { queue.capacity = .max }
        self.unhandled = options.delivery.atLeastOnceOptions == nil ? nil : UnhandledEvents()
        self.mailbox = Mailbox(queue, layout: layout, meters: QueueMeters(of: name, in: services.metrics))
        self.spill = AnySubscriber.makeSpillLine(queue, mailbox, of: name, in: services.spillDirectory)
    }

    /// Whether the consumer, which was away, still owns what it has taken out of the mailbox.
    @inline(__always)
    final func comesBack() -> Bool {
        custody.arrive()
        return !mailbox.isAbandoned || custody.keep()
    }

    /// Whether an event of this wire type can mean anything to the handler. Bytes without a type are tried.
    final func takes(eventType other: String?) -> Bool {
        if let members { return other.map(members.contains) ?? false }
        guard let eventType, let other else { return true }
        return eventType == other
    }

    /// Whether failed events are tried again and kept. A relay is not a handler: what a leaf that has gone did not take is of no use to anyone.
    final var keepsTrying: Bool { options.relaysFor == nil }

    /// Whether the caller is the handler of this subscription, and so the only one who could make room in its queue.
    final var isCalledByItself: Bool {
        options.concurrency == 1
            && (consumer.load(ordering: .relaxed) == CurrentTask.mark || (options.handlerDeadline != nil && HandlerScope.current == id))
    }

    /// Queues an event as what the handler of a family takes. - Returns: nil if its type is not in the family.
    func offer<E: Event>(lifting event: E, to topic: Topic, number: UInt64, options: PublishOptions, extras: MessageExtras?)
        -> SubscriberOffer?
    {
        nil
    }

    /// The order in which subscriptions of this node are offered an event.
    static func isOfferedBefore(_ one: AnySubscriber, _ other: AnySubscriber) -> Bool {
        (one.options.handlerPriority, one.id) < (other.options.handlerPriority, other.id)
    }

    /// Puts what the handler has not begun into the dead letters, when the consumer may never come back for it. At least `Custody.settling` after
    /// the mailbox was abandoned.
    /// - Returns: false if the consumer is at work on it just now.
    func buryQueue() -> Bool { true }

    /// Puts what is on the disk into the dead letters.
    func burySpill() async {}

    /// Takes the oldest event of the least urgent class out of the queue and puts it into the dead letters. False if the handlers have them all.
    func displaceOldest() -> Bool { false }

    final func sees(_ session: SessionID) -> Bool { options.session == .bus || options.session == session }

    /// Takes messages that came over a link. False when the subscription has ended.
    package final func deliver(_ delivery: InboundDelivery) -> Bool { mailbox.deliver(delivery) }
    /// Notes that the publisher's node dropped messages for this subscription. A count above 2^32 - 1 is taken for that.
    package final func noteGap(_ count: Int, priority: Priority) {
        statistics.droppedBySender.wrappingAdd(UInt64(mailbox.noteGap(count, priority: priority)), ordering: .relaxed)
    }
    /// Notes that messages of the publisher's node were out of time before they could be sent.
    package final func noteExpired(_ count: UInt64) { statistics.expired.wrappingAdd(min(count, UInt64(UInt32.max)), ordering: .relaxed) }
    /// How many places of the queue are taken by gaps, for tests.
    package final var queuedGaps: Int { mailbox.gaps }
}

/// What became of an offer, whatever the type of the mailbox.
enum SubscriberOffer {
    case accepted(evicted: Int)
    case full
    case rejected
    case closed
}

/// A subscription with its queue and its handler.
final class Subscriber<Value: Sendable>: AnySubscriber, @unchecked Sendable {
    typealias Handler = @Sendable (Value, EventContext) async throws -> Void

    let handler: Handler
    /// Makes the handler's value from a message that is not one yet, and a message from a value.
    let form: ValueForm<Value>

    init(
        id: UInt32, filters: [TopicFilter], options: SubscriptionOptions, services: DeliveryServices, form: ValueForm<Value>,
        handler: @escaping Handler
    ) {
        self.handler = handler
        self.form = form
        super.init(
            id: id, filters: filters, options: options, layout: ValueLayout(of: Value.self), eventType: form.eventType,
            members: form.members,
            services: services)
    }

    override func offer<E: Event>(
        lifting event: E, to topic: Topic, number: UInt64, options: PublishOptions, extras: MessageExtras?
    ) -> SubscriberOffer? {
        guard let value = form.lift?(event) else { return nil }
        return mailbox.offer(
            value, sequence: number, extras: extras, topic: topic, session: options.session, priority: options.priority)
    }

    override func buryQueue() -> Bool {
        switch custody.claim() {
        case .granted:
            bury(&custody.lanes)
            custody.finishClaim()
            return true
        case .later: return false
        case .done: return true
        }
    }

    override func displaceOldest() -> Bool { buryOldest() }
    override func burySpill() async { await burySpilled() }
}

/// Which node, in which life, an event of this bus comes from.
struct BusIdentity: Sendable {
    let node: NodeID
    let incarnation: Incarnation
}

/// What a subscription has done so far. Written by its consumer, read by whoever asks.
final class SubscriptionStatistics: Sendable {
    let processed = Atomic<UInt64>(0)
    let failed = Atomic<UInt64>(0)
    let expired = Atomic<UInt64>(0)
    let missed = Atomic<UInt64>(0)
    let droppedBySender = Atomic<UInt64>(0)
    let deadLettered = Atomic<UInt64>(0)
    let stopped = Atomic<UInt64>(0)
}
