// A status goes over a link as one message, however much there is to tell.
extension NodeStatus {
    /// What all subscriptions of a node come to, also those that its status leaves out.
    public struct Totals: Sendable, Hashable, Codable {
        /// How many there are.
        public var subscriptions: Int
        /// Events that wait.
        public var queued: UInt64
        /// Handler calls that returned.
        public var processed: UInt64
        /// Events that were lost or refused for want of room.
        public var lost: UInt64

        init(of all: [SubscriptionStatus]) {
            subscriptions = all.count
            queued = all.reduce(0) { $0 &+ $1.queued }
            processed = all.reduce(0) { $0 &+ $1.processed }
            lost = all.reduce(0) { $0 &+ $1.lost }
        }
    }

    /// How many of each a status leaves out.
    public struct Omitted: Sendable, Hashable, Codable {
        /// Subscriptions of the node.
        public var subscriptions: Int
        /// Subscriptions of peers that have no room, over all links.
        public var blocked: Int
        /// Subscriptions of peers that are not served.
        public var refused: Int
    }

    /// Of the subscriptions, those that have the most queued, the most lost and the most handled: so many of each.
    private static let mostOfEach = 66
    /// Of the subscriptions of peers, so many that have no room, those for which the most waits; and so many that are not served.
    private static let mostOfPeers = 100
    /// So many filters of each subscription.
    private static let mostFilters = 3
    /// So many characters of a name.
    private static let mostOfName = 128

    /// The same for a reply of at most some hundred KiB: what says the most, cut short.
    package var shortened: NodeStatus {
        var short = self
        short.subscriptions = NodeStatus.mostTelling(subscriptions).map(\.shortened)
        short.links = NodeStatus.mostBlocked(links)
        short.refused = refused.map { $0.prefix(NodeStatus.mostOfPeers).map(\.shortened) }
        let omitted = Omitted(
            subscriptions: subscriptions.count - short.subscriptions.count,
            blocked: NodeStatus.blockedCount(links) - NodeStatus.blockedCount(short.links),
            refused: (refused?.count ?? 0) - (short.refused?.count ?? 0))
        if omitted.subscriptions + omitted.blocked + omitted.refused > 0 { short.omitted = omitted }
        return short
    }

    private static func mostTelling(_ all: [SubscriptionStatus]) -> [SubscriptionStatus] {
        guard all.count > 3 * mostOfEach else { return all }
        let counts: [KeyPath<SubscriptionStatus, UInt64>] = [\.queued, \.lost, \.processed]
        var kept: Set<Int> = []
        for count in counts {
            // Of two that are alike, the first.
            let order = all.indices.sorted { one, other in (all[one][keyPath: count], other) > (all[other][keyPath: count], one) }
            kept.formUnion(order.prefix(mostOfEach))
        }
        return kept.sorted().map { all[$0] }
    }

    private static func mostBlocked(_ links: [Link]) -> [Link] {
        guard blockedCount(links) > mostOfPeers else { return links }
        let all = links.indices.flatMap { link in links[link].blocked.map { (link: link, blocked: $0) } }
        var cut = links
        for link in cut.indices { cut[link].blocked = [] }
        for (link, blocked) in all.sorted(by: { $0.blocked.messages > $1.blocked.messages }).prefix(mostOfPeers) {
            cut[link].blocked.append(blocked)
        }
        return cut
    }

    private static func blockedCount(_ links: [Link]) -> Int { links.reduce(0) { $0 + $1.blocked.count } }

    fileprivate static func cut(_ filters: [String]) -> (kept: [String], more: Int?) {
        (Array(filters.prefix(mostFilters)), filters.count > mostFilters ? filters.count - mostFilters : nil)
    }

    fileprivate static func cut(_ name: String) -> String { String(name.prefix(mostOfName)) }
}

extension NodeStatus.SubscriptionStatus {
    fileprivate var shortened: Self {
        var short = self
        short.name = NodeStatus.cut(name)
        (short.filters, short.moreFilters) = NodeStatus.cut(filters)
        return short
    }
}

extension NodeStatus.RefusedSubscription {
    fileprivate var shortened: Self {
        var short = self
        (short.filters, short.moreFilters) = NodeStatus.cut(filters)
        return short
    }
}
