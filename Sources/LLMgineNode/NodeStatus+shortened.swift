package import FoundationEssentials

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
        /// Members of the cluster; nil from an older node.
        public var members: Int?
        /// Links; nil from an older node.
        public var links: Int?
    }

    /// Of the subscriptions, those that have the most queued, the most lost and the most handled: at most so many of each.
    private static let mostOfEach = 66
    /// Of the subscriptions of peers, at most so many that have no room, those for which the most waits; and so many that are not served.
    private static let mostOfPeers = 100
    /// So many filters of each subscription.
    private static let mostFilters = 3
    /// So many characters of a name.
    private static let mostOfName = 128

    /// The same as JSON for a reply of at most so many bytes: what says the most, cut short, and the less of it the less room there is.
    package func encoded(within maximumBytes: Int) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var most = max(members.count, links.count, NodeStatus.mostOfPeers)
        while true {
            let data = try encoder.encode(shortened(to: most))
            guard data.count > maximumBytes, most > 0 else { return data }
            most /= 2
        }
    }

    /// The same with at most so many of each, and no more than a screen has use for; of members at least this node.
    package func shortened(to most: Int = .max) -> NodeStatus {
        var short = self
        short.members = NodeStatus.first(max(1, most), of: members) { ["self", "linked", "suspect", "leaving"].contains($0.state) }
        short.subscriptions = NodeStatus.mostTelling(subscriptions, min(most, NodeStatus.mostOfEach)).map(\.shortened)
        short.links = NodeStatus.mostBlocked(
            NodeStatus.first(most, of: links) { $0.queuedMessages > 0 }, min(most, NodeStatus.mostOfPeers))
        short.refused = refused.map { $0.prefix(min(most, NodeStatus.mostOfPeers)).map(\.shortened) }
        let gone = (members: members.count - short.members.count, links: links.count - short.links.count)
        let omitted = Omitted(
            subscriptions: subscriptions.count - short.subscriptions.count,
            blocked: NodeStatus.blockedCount(links) - NodeStatus.blockedCount(short.links),
            refused: (refused?.count ?? 0) - (short.refused?.count ?? 0), members: gone.members, links: gone.links)
        if omitted.subscriptions + omitted.blocked + omitted.refused + gone.members + gone.links > 0 { short.omitted = omitted }
        return short
    }

    /// So many, in their order: those that are preferred, and then others.
    private static func first<Element>(_ most: Int, of all: [Element], preferring isPreferred: (Element) -> Bool) -> [Element] {
        guard all.count > most else { return all }
        let order = all.indices.filter { isPreferred(all[$0]) } + all.indices.filter { !isPreferred(all[$0]) }
        return order.prefix(most).sorted().map { all[$0] }
    }

    private static func mostTelling(_ all: [SubscriptionStatus], _ mostOfEach: Int) -> [SubscriptionStatus] {
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

    private static func mostBlocked(_ links: [Link], _ most: Int) -> [Link] {
        guard blockedCount(links) > most else { return links }
        let all = links.indices.flatMap { link in links[link].blocked.map { (link: link, blocked: $0) } }
        var cut = links
        for link in cut.indices { cut[link].blocked = [] }
        for (link, blocked) in all.sorted(by: { $0.blocked.messages > $1.blocked.messages }).prefix(most) {
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
