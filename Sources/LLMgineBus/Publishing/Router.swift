import LLMgineCore
import LLMgineRouting
import Synchronization

/// Where events of one topic go. Immutable, shared by every publish until a subscription comes or goes.
@safe final class Route: Sendable {  // `sole` is the reason: see there
    /// Subscriptions on this node that get every event, by handler priority.
    let locals: [AnySubscriber]
    /// Peers with such subscriptions; one entry a link, however many subscriptions match there.
    let remotes: [any RemoteRoute]
    /// Queue groups: each event goes to one member.
    let groups: [RouteGroup]
    /// Whether all targets are on this node and get every event.
    let isPlain: Bool
    /// Whether its subscriptions on this node have handlers of different priorities.
    let isStaged: Bool
    /// What is asked before an event goes anywhere; nil if nothing is.
    let filters: FilterChain?
    /// Why this node may not publish here; nil if it may. What it relays for a leaf is the leaf's to answer for.
    let refusal: LLMgineError?
    /// Whether this node's own subscriptions may get what is published here.
    let isOpen: Bool
    /// Whether it goes to the hub of this node, which chooses one member of each group among all of the cluster.
    let isRelayed: Bool
    /// The only target, if it is a subscription of this node and nothing is asked before.
    private let sole: Unmanaged<AnySubscriber>?

    init(
        locals: [AnySubscriber], remotes: [any RemoteRoute], groups: [RouteGroup], filters: FilterChain?, refusal: LLMgineError? = nil,
        isOpen: Bool = true, isRelayed: Bool = false
    ) {
        self.isRelayed = isRelayed
        let isSole = locals.count == 1 && remotes.isEmpty && groups.isEmpty && filters == nil && refusal == nil
        unsafe sole = isSole ? Unmanaged.passUnretained(locals[0]) : nil
        self.locals = locals
        self.remotes = remotes
        self.groups = groups
        self.filters = filters
        self.refusal = refusal
        self.isOpen = isOpen
        self.isPlain = remotes.isEmpty && groups.isEmpty
        self.isStaged = HandlerStages.areMixed(locals)
    }

    /// Calls the body with the only target, if it is a subscription of this node and no filter is asked before, without counting a reference: the count lies on a cache
    /// line that the consumer reads for each event, and would be taken from it twice an event.
    @inline(__always)
    func withSole<Result>(_ body: (AnySubscriber) -> Result?) -> Result? {
        guard let sole = unsafe sole else { return nil }
        // `locals` holds the subscriber for as long as the route lives, and whoever calls holds the route.
        return unsafe sole._withUnsafeGuaranteedRef(body)
    }
}

/// The members of one queue group that match a topic.
final class RouteGroup: Sendable {
    let name: String
    let locals: [AnySubscriber]
    let remotes: [any RemoteRoute]
    /// Where the next round starts.
    let turn = Atomic<Int>(0)

    init(name: String, locals: [AnySubscriber], remotes: [any RemoteRoute]) {
        self.name = name
        self.locals = locals
        self.remotes = remotes
    }
}

/// Who is subscribed to what, on this node and on the peers.
///
/// A publish looks its topic up in one of eight caches, each under its own short lock, so that publishers of different topics do not meet;
/// only a topic that was not seen since the last change walks the trie.
final class Router: Sendable {
    enum Target: Hashable {
        case local(AnySubscriber)
        case remote(RemoteFlow)

        static func == (one: Target, other: Target) -> Bool {
            switch (one, other) {
            case (.local(let one), .local(let other)): one === other
            case (.remote(let one), .remote(let other)): one === other
            case (.local, .remote), (.remote, .local): false
            }
        }

        /// The subscription, if it sees one session only.
        var scoped: AnySubscriber? {
            if case .local(let subscriber) = self, subscriber.options.session != .bus { subscriber } else { nil }
        }

        /// Whether the very topic is allowed there: a filter with a wildcard may match more than is.
        func mayGet(_ topic: Topic, orElse isOpen: Bool) -> Bool {
            switch self {
            case .local(let subscriber): subscriber.options.receives?(topic) ?? isOpen
            case .remote(let flow): flow.way.mayReceive(topic)
            }
        }

        func hash(into hasher: inout Hasher) {
            switch self {
            case .local(let subscriber): hasher.combine(ObjectIdentifier(subscriber))
            case .remote(let flow): hasher.combine(ObjectIdentifier(flow))
            }
        }
    }

    private struct Table {
        var trie = TopicTrie<Target>()
        var count = 0
        var filters: FilterChain?
        var rules: TopicRules?
    }

    let scopes = SessionScopes()
    private let table = Mutex(Table())
    private let caches = InlineArray<8, CacheStripe> { _ in CacheStripe() }

    /// In place: one more object would be one more reference to count with every publish.
    private struct CacheStripe: ~Copyable, Sendable {
        let cache = Mutex(RouteCache())
        private let apart = CacheLine()
    }

    /// Where an event of a session goes now.
    @inline(__always)
    func route(for topic: Topic, in session: borrowing SessionID) -> Route {
        let route = route(for: topic)
        return scopes.isEmpty ? route : scopes.route(for: topic, in: copy session, over: route)
    }

    /// Where an event goes that belongs to no session.
    func route(for topic: Topic) -> Route {
        let stripe = Int(truncatingIfNeeded: topic.fingerprint >> 60) & 7
        if let route = caches[stripe].cache.withLock({ $0.lookup(topic) }) { return route }
        // Both locks: a change of the table clears the caches while it holds the table, so nothing stale is stored.
        return table.withLock { table in
            misses.add(1, ordering: .relaxed)
            let route = Router.makeRoute(of: topic, table.trie.matches(topic), table.filters, table.rules)
            caches[stripe].cache.withLock { $0.store(route, for: topic) }
            return route
        }
    }

    /// How often a route was made because no cache had it: a measure of what changes cost.
    let misses = Atomic<Int>(0)

    /// Has every event judged from now on.
    func use(_ filters: FilterChain?) {
        table.withLock { table in
            table.filters = filters
            clearCaches()
        }
    }

    /// Has every topic judged from now on.
    func enforce(_ rules: TopicRules) {
        table.withLock { table in
            table.rules = rules
            clearCaches()
        }
    }

    var rules: TopicRules? { table.withLock { $0.rules } }

    func add(_ target: Target, filters: [TopicFilter]) {
        if let subscriber = target.scoped { return scopes.add(subscriber) }
        table.withLock { table in
            for filter in filters { table.trie.insert(target, for: filter) }
            table.count += 1
            clearCaches()
        }
    }

    func remove(_ target: Target, filters: [TopicFilter]) {
        if let subscriber = target.scoped { return scopes.remove(subscriber) }
        table.withLock { table in
            for filter in filters { table.trie.remove(target, for: filter) }
            table.count -= 1
            clearCaches()
        }
    }

    private func clearCaches() {
        for stripe in caches.indices { caches[stripe].cache.withLock { $0.removeAll() } }
    }

    private static func makeRoute(of topic: Topic, _ targets: [Target], _ filters: FilterChain?, _ rules: TopicRules?) -> Route {
        let isOpen = rules?.receive(topic) ?? true
        var seen: Set<Target> = []
        var locals: [AnySubscriber] = []
        var flows: [RemoteFlow] = []
        var groups: [String: (locals: [AnySubscriber], flows: [RemoteFlow])] = [:]
        for target in targets where target.mayGet(topic, orElse: isOpen) && seen.insert(target).inserted {
            switch target {
            case .local(let subscriber):
                if let group = subscriber.options.group {
                    groups[group, default: ([], [])].locals.append(subscriber)
                } else {
                    locals.append(subscriber)
                }
            case .remote(let flow):
                if let group = flow.group { groups[group, default: ([], [])].flows.append(flow) } else { flows.append(flow) }
            }
        }
        // A member on this leaf is one among those that the hub knows: were it served here as well, two would get the event.
        let isRelayed = flows.contains { $0.isUplink }
        if isRelayed { groups = [:] }
        return Route(
            locals: locals.sorted(by: AnySubscriber.isOfferedBefore),
            remotes: routes(to: flows),
            groups: groups.sorted { $0.key < $1.key }.map { name, members in
                RouteGroup(name: name, locals: members.locals, remotes: members.flows.map { $0.way.route(to: [$0.flow]) })
            }, filters: filters, refusal: rules?.publish(topic), isOpen: isOpen, isRelayed: isRelayed)
    }

    /// One copy of an event goes to each way, however many flows lie at its end.
    private static func routes(to flows: [RemoteFlow]) -> [any RemoteRoute] {
        var ways: [(way: RemoteFlow.Way, flows: [UInt32])] = []
        for flow in flows {
            if let index = ways.firstIndex(where: { $0.way.end === flow.way.end }) {
                ways[index].flows.append(flow.flow)
            } else {
                ways.append((flow.way, [flow.flow]))
            }
        }
        return ways.map { $0.way.route(to: $0.flows.sorted()) }
    }
}

/// The routes of recently used topics of one stripe, found by the fingerprint that a topic carries.
///
/// Direct-mapped, 1024 topics: a topic replaces another one of its slot. `MatchCache` of the routing module does the same for any result,
/// but is not specialised across modules, which costs more than the look-up itself.
struct RouteCache {
    private var entries: ContiguousArray<Entry> = []

    private struct Entry {
        var topic: Topic
        var route: Route
    }
    private static let capacity = 1024
    private var slots: ContiguousArray<Int32> = []

    func lookup(_ topic: borrowing Topic) -> Route? {
        guard !slots.isEmpty else { return nil }
        let index = slots[RouteCache.slot(of: topic)]
        guard index >= 0, entries[Int(index)].topic == topic else { return nil }
        return entries[Int(index)].route
    }

    mutating func store(_ route: Route, for topic: borrowing Topic) {
        if slots.isEmpty { slots = ContiguousArray(repeating: -1, count: RouteCache.capacity) }
        let slot = RouteCache.slot(of: topic)
        let entry = Entry(topic: copy topic, route: route)
        if slots[slot] >= 0 {
            entries[Int(slots[slot])] = entry
        } else {
            slots[slot] = Int32(entries.count)
            entries.append(entry)
        }
    }

    mutating func removeAll() {
        entries.removeAll()
        slots.removeAll()
    }

    private static func slot(of topic: borrowing Topic) -> Int {
        Int(truncatingIfNeeded: topic.fingerprint ^ topic.fingerprint >> 32) & (capacity - 1)
    }
}

extension MessageBus {
    /// How often the way of an event had to be worked out anew, for want of a cached one.
    package var routesMade: Int { router.misses.load(ordering: .relaxed) }
}
