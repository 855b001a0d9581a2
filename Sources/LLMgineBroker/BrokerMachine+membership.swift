package import struct LLMgineMembership.DialBook
package import struct LLMgineMembership.MemberRecord

extension BrokerMachine {
    /// The node accepts links and takes part from now on.
    package mutating func started(at now: Duration, into actions: inout [BrokerAction]) {
        members.moved(to: .up)
        nextGossip = now + configuration.gossipInterval
        dialDue(at: now, into: &actions)
    }

    /// Time passed: gossip, dials.
    /// - Parameter random: chooses the peer to gossip with.
    package mutating func ticked(at now: Duration, random: UInt64, into actions: inout [BrokerAction]) {
        if let due = nextGossip, now >= due {
            nextGossip = now + configuration.gossipInterval
            members.expire(at: now)
            book.keep(Set(members.others.map(\.address)))
            let core = coreLinks
            if !isLeaf, !core.isEmpty { actions.append(.sendGossip(core[Int(random % UInt64(core.count))], members.gossip(at: now))) }
        }
        dialDue(at: now, into: &actions)
    }

    /// When ``ticked(at:random:into:)`` is next worth calling.
    package func nextTick(at now: Duration) -> Duration? {
        let dial = isLeaving || isSatisfiedLeaf ? nil : book.nextDue(members: dialTargets, linked: { links[$0] != nil }, at: now)
        return [dial, nextGossip].compactMap { $0 }.min()
    }

    /// A peer told of members.
    package mutating func gossipReceived(_ link: LinkID, _ records: [MemberRecord], at now: Duration, into actions: inout [BrokerAction]) {
        // Leaves are nobody's business but their hub's, and have nothing to say of others.
        guard !isLeaf, let peer = peers[link], !peer.isLeaf else { return }
        for change in members.merge(records, at: now) {
            switch change {
            case .learned, .left: break
            case .updated(let node):
                if let link = links[node], isKnownToLeave(link) { peerLeaving(link, into: &actions) }
            case .refuted: tellOwnRecord(into: &actions)
            case .superseded(let incarnation): actions.append(.identityTaken(by: incarnation))
            }
        }
        dialDue(at: now, into: &actions)
    }

    /// Nobody of our cluster answered at the address.
    /// - Parameter random: from 0 up to 1.
    package mutating func dialFailed(_ address: String, at now: Duration, random: Double, into actions: inout [BrokerAction]) {
        book.failed(address, at: now, random: random)
        dialDue(at: now, into: &actions)
    }

    /// This node is about to leave: peers should send it no new work. It dials no more.
    /// - Parameter deadline: how long it may take until ``leaveFinished(into:)``; its links close by themselves then.
    package mutating func leaveStarted(at now: Duration, deadline: Duration, into actions: inout [BrokerAction]) {
        guard !isLeaving else { return }
        isLeaving = true
        leavesUntil = now + deadline
        members.moved(to: .leaving)
        for link in peers.keys.sorted() { actions.append(.sendLeaving(link, deadline: deadline)) }
        tellOwnRecord(into: &actions)
    }

    /// This node has nothing left to do; the shell closes the links next.
    package mutating func leaveFinished(into actions: inout [BrokerAction]) {
        isLeaving = true
        members.moved(to: .left)
        tellOwnRecord(into: &actions)
    }

    mutating func dialDue(at now: Duration, into actions: inout [BrokerAction]) {
        guard !isLeaving, !isSatisfiedLeaf else { return }
        let links = links
        let due = book.due(members: dialTargets, linked: { links[$0] != nil }, oneAtATime: isLeaf, at: now)
        for target in due { actions.append(.dial(target.address, expecting: target.node)) }
    }

    /// A leaf works with one hub and keeps a second in reserve, if it knows of one.
    private var isSatisfiedLeaf: Bool { isLeaf && links.count >= min(2, book.seeds.count) }

    /// The members to have links to: all that did not leave. A leaf knows its seeds only.
    private var dialTargets: [DialBook.Target] {
        guard !isLeaf else { return [] }
        return members.others.filter { $0.state != .left }.map { DialBook.Target(address: $0.address, node: $0.node) }
    }

    private func tellOwnRecord(into actions: inout [BrokerAction]) {
        guard !isLeaf else { return }
        for link in coreLinks { actions.append(.sendGossip(link, [members.own])) }
    }
}

extension BrokerMachine {
    /// Where others can reach this node, known once its port is bound.
    package mutating func advertised(_ address: String) {
        members.moved(toAddress: address)
        book.reachedOurselves(address)
    }
}
