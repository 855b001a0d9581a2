import struct LLMgineCore.LLMgineError
import struct LLMgineMembership.MemberRecord
import struct LLMgineRouting.PeerInterest

extension BrokerMachine {
    private enum Verdict {
        case refuse(BrokerAction.CloseReason)
        case replace(BrokerAction.CloseReason)
    }

    /// A handshake ended well.
    package mutating func linkEstablished(_ link: LinkID, peer: PeerInfo, at now: Duration, into actions: inout [BrokerAction]) {
        // A leaf may have the name of its hub, so that a node's own certificate can serve to ask it something.
        let isOurselves = peer.node == node && !isLeaf
        if peer.kind == .leaf {
            leafEstablished(link, peer, at: now, into: &actions)
            return
        }
        if let dialed = peer.dialed {
            if isOurselves { book.reachedOurselves(dialed) }
            book.connected(dialed, to: peer.node, at: now)
        }
        guard !isOurselves else {
            actions.append(.close(link, .ourselves))
            return
        }
        if let old = links[peer.node], let known = peers[old] {
            // Two addresses of one hub: one link is enough.
            if isLeaf, known.info.incarnation == peer.incarnation, known.info.dialed != peer.dialed {
                actions.append(.close(link, .duplicateLink))
                return
            }
            switch verdict(over: known.info, with: peer) {
            case .refuse(let reason):
                actions.append(.close(link, reason))
                return
            case .replace(let reason):
                // Closed while the shell still knows it. The peer learns our interest anew, so whoever waits for it goes on waiting.
                actions.append(.close(old, reason))
                for index in waiters.indices where waiters[index].version > 0 { waiters[index].links.insert(link) }
                drop(old, at: now, into: &actions)
            }
        }
        accept(link, peer, at: now, into: &actions)
    }

    /// A leaf replaces nobody but itself: when it dials again, it has lost its link, maybe before we notice.
    private mutating func leafEstablished(_ link: LinkID, _ peer: PeerInfo, at now: Duration, into actions: inout [BrokerAction]) {
        if let old = leaves[peer.leaf] {
            actions.append(.close(old, .replaced))
            drop(old, at: now, into: &actions)
        } else if leaves.count >= configuration.maximumLeaves {
            actions.append(.close(link, .fault(LLMgineError(.limitExceeded, "this node serves \(leaves.count) leaves already"))))
            return
        }
        accept(link, peer, at: now, into: &actions)
    }

    /// The connection is gone, whoever closed it.
    /// - Parameter random: from 0 up to 1.
    package mutating func linkLost(_ link: LinkID, at now: Duration, random: Double, into actions: inout [BrokerAction]) {
        guard let peer = drop(link, at: now, into: &actions) else { return }
        book.broke(peer.info.dialed ?? peer.info.address, after: now - peer.since, at: now, random: random)
        dialDue(at: now, into: &actions)
    }

    /// The peer says that it is about to leave.
    package mutating func peerLeaving(_ link: LinkID, into actions: inout [BrokerAction]) {
        guard let peer = peers[link], !peer.isDraining else { return }
        peers[link]?.isDraining = true
        actions.append(.peerDraining(peer.info.node, link))
    }

    /// Whether the peer has told somebody that it leaves: that very life, and not another process of its name.
    func isKnownToLeave(_ link: LinkID) -> Bool {
        guard let info = peers[link]?.info, let record = members[info.node] else { return false }
        return record.state == .leaving && record.incarnation == info.incarnation
    }

    /// The link measured how long an answer takes.
    package mutating func roundTripMeasured(_ link: LinkID, _ duration: Duration) { peers[link]?.roundTrip = duration }

    /// Which of two links to one node stays. Both ends come to the same answer, whatever order the links come up in there.
    private func verdict(over old: PeerInfo, with new: PeerInfo) -> Verdict {
        if new.incarnation > old.incarnation { return .replace(.superseded) }
        if new.incarnation < old.incarnation { return .refuse(.olderIncarnation) }
        // One process advertises one address: another one with the same identity is a clone, and the healthy link must not fall for it.
        if new.address != old.address { return .refuse(.duplicateIdentity) }
        // A dialler dials again only when it has lost the link, maybe before we notice.
        guard new.dialedByUs != old.dialedByUs else { return .replace(.replaced) }
        // Both dialled: the link that the lower node dialled stays.
        return new.dialedByUs == (node < new.node) ? .replace(.duplicateLink) : .refuse(.duplicateLink)
    }

    private mutating func accept(_ link: LinkID, _ info: PeerInfo, at now: Duration, into actions: inout [BrokerAction]) {
        var peer = Peer(info: info, since: now, interest: PeerInterest(limit: configuration.maximumInterest))
        peer.isStandby = isLeaf && peers.values.contains { !$0.isStandby }
        peers[link] = peer
        if peer.isLeaf { leaves[info.leaf] = link } else { links[info.node] = link }
        if !peer.isStandby { takePart(link, at: now, into: &actions) }
    }

    /// The link is in use from now on.
    private mutating func takePart(_ link: LinkID, at now: Duration, into actions: inout [BrokerAction]) {
        guard let peer = peers[link] else { return }
        let info = peer.info
        peers[link]?.told = log.version
        actions.append(.peerUp(info.node, link, leaf: peer.isLeaf))
        if isLeaving { actions.append(.sendLeaving(link, deadline: max(leavesUntil - now, .zero))) }
        guard !peer.isLeaf else { return }
        members.linked(
            MemberRecord(
                node: info.node, incarnation: info.incarnation, counter: 0, state: .up, address: info.address, zone: info.zone,
                roles: info.roles,
                protocolMin: info.protocolMin, protocolMax: info.protocolMax),
            at: now)
        for part in log.snapshot.split() { actions.append(.sendInterest(link, part)) }
        if !isLeaf { actions.append(.sendGossip(link, members.gossip(at: now))) }
        if isKnownToLeave(link) { peerLeaving(link, into: &actions) }
        // What a hub has said while it was in reserve.
        for entry in peer.interest.entries { actions.append(.routeAdded(info.node, link, entry, leaf: false)) }
    }

    @discardableResult private mutating func drop(_ link: LinkID, at now: Duration, into actions: inout [BrokerAction]) -> Peer? {
        guard let peer = peers.removeValue(forKey: link) else { return nil }
        if peer.isLeaf {
            leaves[peer.info.leaf] = nil
        } else {
            links[peer.info.node] = nil
            guard !peer.isStandby else { return peer }
            members.unlinked(peer.info.node, at: now)
        }
        for entry in peer.interest.entries { actions.append(.routeRemoved(peer.info.node, link, entry.flow)) }
        actions.append(.peerDown(peer.info.node, link))
        let next = isLeaf ? peers.filter { $0.value.isStandby }.keys.min() : nil
        if let next {
            peers[next]?.isStandby = false
            takePart(next, at: now, into: &actions)
        }
        for index in waiters.indices where waiters[index].links.remove(link) != nil {
            if let next { waiters[index].links.insert(next) }
        }
        resolveWaiters(into: &actions)
        return peer
    }
}
