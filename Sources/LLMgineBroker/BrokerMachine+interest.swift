package import struct LLMgineCore.LLMgineError
package import struct LLMgineRouting.InterestEntry
package import struct LLMgineRouting.InterestUpdate

extension BrokerMachine {
    /// The version of our interest to put in a PING.
    package var interestVersion: UInt64 { log.version }
    /// The hash of our interest to put in a PING.
    package var interestHash: UInt64 { log.hash }

    /// Someone here subscribed.
    /// - Throws: `limitExceeded` if this node has as many subscriptions as its peers accept.
    package mutating func locallySubscribed(_ entry: InterestEntry, into actions: inout [BrokerAction]) throws(LLMgineError) {
        guard localFlows.count < configuration.maximumInterest || localFlows.contains(entry.flow) else {
            throw LLMgineError(.limitExceeded, "this node has \(localFlows.count) subscriptions already")
        }
        localFlows.insert(entry.flow)
        log.add(entry)
        scheduleFlush(into: &actions)
    }

    /// A subscription here ended.
    package mutating func locallyUnsubscribed(_ flow: UInt32, into actions: inout [BrokerAction]) {
        guard localFlows.remove(flow) != nil else { return }
        log.remove(flow)
        scheduleFlush(into: &actions)
    }

    /// The coalescing window is over: each peer hears in one update of all that changed.
    package mutating func interestFlushed(into actions: inout [BrokerAction]) {
        isFlushScheduled = false
        log.flush()
        var parts: (since: UInt64, updates: [InterestUpdate])?
        for link in coreLinks {
            guard let told = peers[link]?.told, told < log.version else { continue }
            if parts?.since != told { parts = (told, log.delta(since: told).split()) }
            for update in parts?.updates ?? [] { actions.append(.sendInterest(link, update)) }
            peers[link]?.told = log.version
        }
    }

    /// Someone waits until every peer linked now knows our subscriptions of now. What changed goes out at once.
    package mutating func established(_ waiter: UInt64, into actions: inout [BrokerAction]) {
        interestFlushed(into: &actions)
        let behind = coreLinks.filter { (peers[$0]?.acknowledged ?? 0) < log.version }
        waiters.append(Waiter(id: waiter, version: log.version, links: Set(behind)))
        resolveWaiters(into: &actions)
    }

    /// The peer has taken in our interest up to a version.
    package mutating func interestAcknowledged(_ link: LinkID, version: UInt64, into actions: inout [BrokerAction]) {
        guard let peer = peers[link], version > peer.acknowledged else { return }
        // More than we told it is a lie, and no reason to believe that it knows what comes next.
        peers[link]?.acknowledged = min(version, peer.told)
        for index in waiters.indices where waiters[index].version <= min(version, peer.told) { waiters[index].links.remove(link) }
        resolveWaiters(into: &actions)
    }

    /// How often the questions of one peer are answered: an answer may be many times longer than the question.
    private static let answerInterval = Duration.seconds(1)

    /// The peer lacks what changed since a version; 0 asks for everything. It is answered at once, and what it asks within a second after that,
    /// when the second is over.
    package mutating func interestWanted(_ link: LinkID, since version: UInt64, at now: Duration, into actions: inout [BrokerAction]) {
        // A hub in reserve is told nothing, or it would deliver as well.
        guard let peer = peers[link], !peer.isLeaf, !peer.isStandby else { return }
        let since = min(peer.owed ?? version, version)
        guard let answered = peer.answered, now - answered < BrokerMachine.answerInterval else {
            return answerInterest(link, since: since, at: now, into: &actions)
        }
        if peer.owed == nil { actions.append(.scheduleInterestAnswer(link, after: answered + BrokerMachine.answerInterval - now)) }
        peers[link]?.owed = since
    }

    /// The time is over for which an answer was put off.
    package mutating func interestAnswerDue(_ link: LinkID, at now: Duration, into actions: inout [BrokerAction]) {
        guard let since = peers[link]?.owed else { return }
        answerInterest(link, since: since, at: now, into: &actions)
    }

    private mutating func answerInterest(_ link: LinkID, since version: UInt64, at now: Duration, into actions: inout [BrokerAction]) {
        peers[link]?.answered = now
        peers[link]?.owed = nil
        peers[link]?.told = log.version
        for update in log.delta(since: version).split() { actions.append(.sendInterest(link, update)) }
    }

    /// The peer told of its subscriptions.
    package mutating func interestReceived(_ link: LinkID, _ update: InterestUpdate, into actions: inout [BrokerAction]) {
        guard let peer = peers[link] else { return }
        var interest = peer.interest
        // The only reference from here on, so that the tables are changed in place.
        peers[link]?.interest = .init()
        defer { peers[link]?.interest = interest }
        do throws(LLMgineError) {
            switch try interest.apply(update) {
            case .changed(let added, let removed):
                peers[link]?.awaitsResync = false
                guard !peer.isStandby else { break }
                for entry in removed { actions.append(.routeRemoved(peer.info.node, link, entry.flow)) }
                for entry in added { actions.append(.routeAdded(peer.info.node, link, entry, leaf: peer.isLeaf)) }
                actions.append(.sendInterestAck(link, interest.version))
            case .stale: actions.append(.sendInterestAck(link, interest.version))
            case .gap(let since): requestInterest(link, since: since, into: &actions)
            }
        } catch {
            actions.append(.close(link, .fault(error)))
        }
    }

    /// A PING told at which version and hash the peer's interest is.
    package mutating func peerReportedInterest(_ link: LinkID, version: UInt64, hash: UInt64, into actions: inout [BrokerAction]) {
        // A hub does not tell its leaves what it wants.
        guard !isLeaf, let since = peers[link]?.interest.reported(version: version, hash: hash) else { return }
        peers[link]?.awaitsResync = false
        requestInterest(link, since: since, into: &actions)
    }

    mutating func resolveWaiters(into actions: inout [BrokerAction]) {
        for waiter in waiters where waiter.links.isEmpty { actions.append(.resolve(waiter.id)) }
        waiters.removeAll { $0.links.isEmpty }
    }

    private mutating func scheduleFlush(into actions: inout [BrokerAction]) {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        actions.append(.scheduleInterestFlush)
    }

    /// Asks once for what is missing: updates that come before the answer would each show the same gap. A PING asks again.
    private mutating func requestInterest(_ link: LinkID, since: UInt64, into actions: inout [BrokerAction]) {
        guard let peer = peers[link], !peer.awaitsResync else { return }
        peers[link]?.awaitsResync = true
        actions.append(.requestInterest(link, since: since))
    }
}
