package import struct LLMgineCore.NodeID

/// Which addresses to dial, and when. Seeds are dialled for ever; a member for as long as the table knows it.
package struct DialBook: Sendable {
    package struct Target: Sendable, Hashable {
        package let address: String
        /// Who should answer there; nil for a seed, where anybody of the cluster may.
        package let node: NodeID?

        package init(address: String, node: NodeID?) {
            self.address = address
            self.node = node
        }
    }

    package let seeds: [String]
    private var schedules: [String: DialSchedule] = [:]
    /// Who answered at a seed.
    private var answered: [String: NodeID] = [:]
    /// The addresses that turned out to be our own.
    private var ours: Set<String>
    /// How many targets are wanted and have no link.
    private var missing = 0

    /// - Parameter ownAddress: where this node itself accepts links.
    package init(seeds: [String], ownAddress: String) {
        var seen: Set<String> = [ownAddress, ""]
        self.seeds = seeds.filter { seen.insert($0).inserted }
        self.ours = [ownAddress, ""]
    }

    /// The targets to dial now, each noted as being dialled.
    /// - Parameters:
    ///   - members: the members that this node wants a link to.
    ///   - linked: whether there is a link to the node.
    ///   - oneAtATime: whether to wait for a dial under way and then try the first one due, as a leaf does that needs one link only.
    package mutating func due(members: [Target], linked: (NodeID) -> Bool, oneAtATime: Bool = false, at now: Duration) -> [Target] {
        var wanted = wanted(members: members, linked: linked)
        missing = wanted.count
        if oneAtATime {
            guard !wanted.contains(where: { schedules[$0.address].map { $0.due == nil } ?? false }) else { return [] }
            wanted = Array(wanted.filter { schedules[$0.address]?.isDue(at: now) ?? true }.prefix(1))
        }
        return wanted.filter { target in
            var schedule = schedules[target.address] ?? DialSchedule(at: now)
            let isDue = schedule.isDue(at: now)
            if isDue { schedule.dialled() }
            schedules[target.address] = schedule
            return isDue
        }
    }

    /// When the next of these targets is due; nil if none waits.
    package func nextDue(members: [Target], linked: (NodeID) -> Bool, at now: Duration) -> Duration? {
        wanted(members: members, linked: linked).compactMap { target in
            guard let schedule = schedules[target.address] else { return now }
            return schedule.due
        }.min()
    }

    /// A dial found its node.
    package mutating func connected(_ address: String, to node: NodeID, at now: Duration) {
        schedules[address, default: DialSchedule(at: now)].connected(at: now)
        if seeds.contains(address) { answered[address] = node }
    }

    /// A link to the address broke after it had lasted so long.
    package mutating func broke(_ address: String, after lifetime: Duration, at now: Duration, random: Double) {
        schedules[address, default: DialSchedule(at: now)].broke(after: lifetime, at: now, random: random, among: missing)
    }

    /// A dial failed.
    package mutating func failed(_ address: String, at now: Duration, random: Double) {
        schedules[address, default: DialSchedule(at: now)].failed(at: now, random: random, among: missing)
    }

    /// A dial reached this very node.
    package mutating func reachedOurselves(_ address: String) { ours.insert(address) }

    /// Forgets the addresses that are neither seeds nor members any more.
    package mutating func keep(_ addresses: Set<String>) {
        schedules = schedules.filter { address, schedule in addresses.contains(address) || seeds.contains(address) || schedule.due == nil }
    }

    private func wanted(members: [Target], linked: (NodeID) -> Bool) -> [Target] {
        var seen = ours
        // An address whose member is linked is not dialled as a seed either.
        for target in members where target.node.map(linked) ?? false { seen.insert(target.address) }
        var targets: [Target] = []
        for target in members where seen.insert(target.address).inserted { targets.append(target) }
        for seed in seeds where seen.insert(seed).inserted {
            if let node = answered[seed], linked(node) { continue }
            targets.append(Target(address: seed, node: nil))
        }
        return targets
    }
}
