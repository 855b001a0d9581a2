import LLMgineBroker
import LLMgineCore
import LLMgineMembership
import LLMgineRouting
import Testing

/// A broker with its actions at hand.
private struct Bench {
    var broker: BrokerMachine

    init(_ node: NodeID = "m", kind: PeerInfo.Kind = .core, seeds: [String] = []) {
        broker = BrokerMachine(
            .init(own: MemberRecord(node: node, incarnation: Incarnation(1), address: "\(node):1"), kind: kind, seeds: seeds))
    }

    mutating func act(_ body: (inout BrokerMachine, inout [BrokerAction]) -> Void) -> [BrokerAction] {
        var actions: [BrokerAction] = []
        body(&broker, &actions)
        return actions
    }

    mutating func linked(
        _ link: UInt64, _ node: NodeID, incarnation: UInt64 = 1, kind: PeerInfo.Kind = .core, address: String? = nil, dialed: String? = nil,
        at now: Duration = .zero
    ) -> [BrokerAction] {
        let info = PeerInfo(node: node, incarnation: Incarnation(incarnation), kind: kind, address: address ?? "\(node):1", dialed: dialed)
        return act { $0.linkEstablished(LinkID(link), peer: info, at: now, into: &$1) }
    }

    mutating func lost(_ link: UInt64, at now: Duration = .zero) -> [BrokerAction] {
        act { $0.linkLost(LinkID(link), at: now, random: 0, into: &$1) }
    }

    mutating func subscribed(_ flow: UInt32) throws -> [BrokerAction] {
        var actions: [BrokerAction] = []
        try broker.locallySubscribed(entry(flow), into: &actions)
        return actions
    }

    mutating func flushed() -> [BrokerAction] { act { $0.interestFlushed(into: &$1) } }
    mutating func established(_ waiter: UInt64) -> [BrokerAction] { act { $0.established(waiter, into: &$1) } }

    mutating func acknowledged(_ link: UInt64, _ version: UInt64) -> [BrokerAction] {
        act { $0.interestAcknowledged(LinkID(link), version: version, into: &$1) }
    }

    mutating func wanted(_ link: UInt64, since version: UInt64, at milliseconds: Int) -> [BrokerAction] {
        act { $0.interestWanted(LinkID(link), since: version, at: .milliseconds(milliseconds), into: &$1) }
    }

    mutating func answerDue(_ link: UInt64, at milliseconds: Int) -> [BrokerAction] {
        act { $0.interestAnswerDue(LinkID(link), at: .milliseconds(milliseconds), into: &$1) }
    }

    mutating func received(_ link: UInt64, _ update: InterestUpdate) -> [BrokerAction] {
        act { $0.interestReceived(LinkID(link), update, into: &$1) }
    }
}

private func entry(_ flow: UInt32, _ kind: InterestEntry.Kind = .events) -> InterestEntry {
    InterestEntry(flow: flow, kind: kind, filters: ["a.>"], windowMessages: 8, windowBytes: 1024)
}

private func snapshot(_ to: UInt64, _ adds: InterestEntry...) -> InterestUpdate {
    InterestUpdate(snapshot: true, from: 0, to: to, adds: adds)
}

private func delta(_ from: UInt64, _ to: UInt64, adds: [InterestEntry] = [], removes: [UInt32] = []) -> InterestUpdate {
    InterestUpdate(snapshot: false, from: from, to: to, adds: adds, removes: removes)
}

@Suite struct `A new link` {
    @Test func `hears at once of interest and members`() throws {
        var bench = Bench()
        _ = try bench.subscribed(1)
        _ = bench.flushed()
        #expect(
            bench.linked(1, "b") == [
                .peerUp("b", LinkID(1), leaf: false),
                .sendInterest(LinkID(1), snapshot(1, entry(1))),
                .sendGossip(
                    LinkID(1),
                    [
                        MemberRecord(node: "m", incarnation: Incarnation(1), address: "m:1"),
                        MemberRecord(node: "b", incarnation: Incarnation(1), counter: 0, state: .up, address: "b:1"),
                    ]),
            ])
    }

    @Test(arguments: [("a", false), ("z", true)] as [(NodeID, Bool)])
    func `of two mutual dials stays when the lower node dialled it`(peer: NodeID, oursStays: Bool) {
        var bench = Bench()
        _ = bench.linked(1, peer)
        let second = bench.linked(2, peer, dialed: "\(peer):1")
        if oursStays {
            #expect(second.prefix(2) == [.close(LinkID(1), .duplicateLink), .peerDown(peer, LinkID(1))])
        } else {
            #expect(second == [.close(LinkID(2), .duplicateLink)])
        }
        var other = Bench()
        _ = other.linked(1, peer, dialed: "\(peer):1")
        let reversed = other.linked(2, peer)
        #expect(reversed.contains(.close(LinkID(oursStays ? 2 : 1), .duplicateLink)))
        #expect(other.broker.link(to: peer) == LinkID(oursStays ? 1 : 2))
    }

    @Test func `of a later life replaces the old one, of an earlier life is refused`() {
        var bench = Bench()
        _ = bench.linked(1, "b", incarnation: 5)
        #expect(bench.linked(2, "b", incarnation: 4) == [.close(LinkID(2), .olderIncarnation)])
        _ = bench.received(1, snapshot(1, entry(7)))
        let actions = bench.linked(3, "b", incarnation: 6)
        #expect(
            actions.prefix(4) == [
                .close(LinkID(1), .superseded), .routeRemoved("b", LinkID(1), 7), .peerDown("b", LinkID(1)),
                .peerUp("b", LinkID(3), leaf: false),
            ])
        #expect(bench.lost(1) == [])
        #expect(bench.broker.link(to: "b") == LinkID(3))
    }

    @Test func `of a clone at another address is refused`() {
        var bench = Bench()
        _ = bench.linked(1, "b")
        #expect(bench.linked(2, "b", address: "elsewhere:1") == [.close(LinkID(2), .duplicateIdentity)])
    }

    @Test func `that the peer dialled again takes the place of the one it lost`() {
        var bench = Bench()
        _ = bench.linked(1, "b")
        #expect(bench.linked(2, "b").prefix(2) == [.close(LinkID(1), .replaced), .peerDown("b", LinkID(1))])
    }

    @Test func `to ourselves is closed and its address not dialled again`() {
        var bench = Bench(seeds: ["alias:1"])
        #expect(bench.act { $0.started(at: .zero, into: &$1) } == [.dial("alias:1", expecting: nil)])
        #expect(bench.linked(1, "m", dialed: "alias:1") == [.close(LinkID(1), .ourselves)])
        #expect(bench.act { $0.ticked(at: .seconds(100), random: 0, into: &$1) } == [])
    }

    @Test func `of a leaf takes nobody's place: not a core node's, not that of another leaf with its name`() {
        var bench = Bench()
        _ = bench.linked(1, "b", incarnation: 5)
        #expect(bench.linked(2, "b", incarnation: 9, kind: .leaf) == [.peerUp("b", LinkID(2), leaf: true)])
        #expect(bench.linked(3, "b", incarnation: 7, kind: .leaf) == [.peerUp("b", LinkID(3), leaf: true)])
        #expect(bench.linked(4, "m", kind: .leaf) == [.peerUp("m", LinkID(4), leaf: true)])
        #expect(bench.broker.link(to: "b") == LinkID(1))
        #expect(bench.lost(3) == [.peerDown("b", LinkID(3))])
        #expect(
            bench.broker.nodes.map { "\($0.node) \($0.link?.value ?? 0) \($0.isLeaf)" } == [
                "m 0 false", "b 1 false", "b 2 true", "m 4 true",
            ])
    }

    @Test func `of a leaf that dialled again takes the place of the one it lost`() {
        var bench = Bench()
        _ = bench.linked(1, "cli", incarnation: 5, kind: .leaf)
        #expect(
            bench.linked(2, "cli", incarnation: 5, kind: .leaf) == [
                .close(LinkID(1), .replaced), .peerDown("cli", LinkID(1)), .peerUp("cli", LinkID(2), leaf: true),
            ])
    }

    @Test func `of one leaf too many is refused`() {
        var bench = Bench()
        for number in 1...1000 { _ = bench.linked(UInt64(number), "cli", incarnation: UInt64(number), kind: .leaf) }
        #expect(
            bench.linked(1001, "cli", incarnation: 1001, kind: .leaf) == [.close(LinkID(1001), .fault(LLMgineError(.limitExceeded, "")))])
        _ = bench.lost(7)
        #expect(bench.linked(1002, "cli", incarnation: 1002, kind: .leaf) == [.peerUp("cli", LinkID(1002), leaf: true)])
    }

    @Test func `of a leaf hears neither interest nor gossip, but its interest counts`() throws {
        var bench = Bench()
        _ = try bench.subscribed(1)
        #expect(bench.linked(1, "cli", kind: .leaf) == [.peerUp("cli", LinkID(1), leaf: true)])
        #expect(bench.flushed() == [])
        #expect(
            bench.received(1, snapshot(1, entry(9))) == [
                .routeAdded("cli", LinkID(1), entry(9), leaf: true), .sendInterestAck(LinkID(1), 1),
            ])
        #expect(bench.established(5) == [.resolve(5)])
        #expect(bench.broker.members.others == [])
        #expect(bench.broker.nodes.map(\.node) == ["m", "cli"])
        #expect(bench.broker.nodes.last?.interestEntries == 1)
        #expect(bench.lost(1) == [.routeRemoved("cli", LinkID(1), 9), .peerDown("cli", LinkID(1))])
    }
}

@Suite struct `Interest of this node` {
    @Test func `goes out as one update per peer after the window`() throws {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = bench.linked(2, "c")
        #expect(try bench.subscribed(1) == [.scheduleInterestFlush])
        #expect(try bench.subscribed(2) == [])
        #expect(bench.act { $0.locallyUnsubscribed(1, into: &$1) } == [])
        let update = delta(0, 1, adds: [entry(2)])
        let expected = InterestUpdate(snapshot: true, from: 0, to: 1, adds: update.adds)
        #expect(bench.flushed() == [.sendInterest(LinkID(1), expected), .sendInterest(LinkID(2), expected)])
        #expect(bench.act { $0.locallyUnsubscribed(2, into: &$1) } == [.scheduleInterestFlush])
        #expect(bench.flushed().first == .sendInterest(LinkID(1), delta(1, 2, removes: [2])))
        #expect(bench.flushed() == [])
    }

    @Test func `is established when every peer of that moment knows it`() throws {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = bench.linked(2, "c")
        _ = try bench.subscribed(1)
        #expect(bench.established(77).count == 2)
        #expect(bench.acknowledged(1, 1) == [])
        _ = bench.linked(3, "d")
        #expect(bench.acknowledged(2, 1) == [.resolve(77)])
        #expect(bench.established(78) == [])
        #expect(bench.acknowledged(3, 1) == [.resolve(78)])
    }

    @Test func `does not wait for a peer that is lost`() throws {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = try bench.subscribed(1)
        _ = bench.established(77)
        #expect(bench.lost(1).contains(.resolve(77)))
    }

    @Test func `waits for the link that takes the place of the one that was waited for`() throws {
        var bench = Bench()
        _ = bench.linked(1, "z")
        _ = try bench.subscribed(1)
        #expect(bench.established(7) == [.sendInterest(LinkID(1), snapshot(1, entry(1)))])
        // The peer begins anew on the second link, so what it knew over the first is gone.
        #expect(!bench.linked(2, "z", dialed: "z:1").contains(.resolve(7)))
        #expect(bench.acknowledged(2, 1) == [.resolve(7)])
    }

    @Test func `is established at once without peers`() throws {
        var bench = Bench()
        _ = try bench.subscribed(1)
        #expect(bench.established(1) == [.resolve(1)])
    }

    @Test func `is not believed to be known further than it was told`() throws {
        var bench = Bench()
        _ = bench.linked(1, "b")
        #expect(bench.acknowledged(1, 999) == [])
        _ = try bench.subscribed(1)
        #expect(bench.established(7) == [.sendInterest(LinkID(1), snapshot(1, entry(1)))])
        #expect(bench.acknowledged(1, 1) == [.resolve(7)])
    }

    @Test func `is bounded`() throws {
        var broker = BrokerMachine(.init(own: MemberRecord(node: "m", incarnation: Incarnation(1), address: ""), maximumInterest: 1))
        var actions: [BrokerAction] = []
        try broker.locallySubscribed(entry(1), into: &actions)
        #expect(throws: LLMgineError(.limitExceeded, "")) { try broker.locallySubscribed(entry(2), into: &actions) }
    }
}

@Suite struct `Interest of a peer` {
    @Test func `becomes routes before it is acknowledged`() {
        var bench = Bench()
        _ = bench.linked(1, "b")
        #expect(
            bench.received(1, snapshot(1, entry(4))) == [
                .routeAdded("b", LinkID(1), entry(4), leaf: false), .sendInterestAck(LinkID(1), 1),
            ])
        #expect(
            bench.received(1, delta(1, 3, adds: [entry(5)], removes: [4])) == [
                .routeRemoved("b", LinkID(1), 4), .routeAdded("b", LinkID(1), entry(5), leaf: false), .sendInterestAck(LinkID(1), 3),
            ])
    }

    @Test func `is asked for once when an update is missing`() {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = bench.received(1, snapshot(2, entry(4)))
        #expect(bench.received(1, delta(3, 4, adds: [entry(6)])) == [.requestInterest(LinkID(1), since: 2)])
        #expect(bench.received(1, delta(4, 5, adds: [entry(7)])) == [])
        #expect(bench.received(1, delta(2, 5, adds: [entry(5), entry(6), entry(7)])).last == .sendInterestAck(LinkID(1), 5))
    }

    @Test func `is asked for when a ping tells something else`() {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = bench.received(1, snapshot(1, entry(4)))
        let ping = { (version: UInt64, hash: UInt64) in
            bench.act { $0.peerReportedInterest(LinkID(1), version: version, hash: hash, into: &$1) }
        }
        #expect(ping(1, entry(4).stableHash) == [])
        #expect(ping(3, 0) == [.requestInterest(LinkID(1), since: 1)])
        #expect(ping(1, 0) == [.requestInterest(LinkID(1), since: 0)])
    }

    @Test func `is answered from where the peer is`() throws {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = try bench.subscribed(1)
        _ = bench.flushed()
        _ = try bench.subscribed(2)
        _ = bench.flushed()
        #expect(bench.wanted(1, since: 1, at: 0) == [.sendInterest(LinkID(1), delta(1, 2, adds: [entry(2)]))])
        #expect(bench.wanted(1, since: 0, at: 1000) == [.sendInterest(LinkID(1), snapshot(2, entry(1), entry(2)))])
    }

    @Test func `is answered once a second to a peer that goes on asking, whatever else goes on, and while the node leaves`() throws {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = bench.linked(2, "c")
        _ = try bench.subscribed(1)
        _ = bench.flushed()
        let whole = BrokerAction.sendInterest(LinkID(1), snapshot(1, entry(1)))
        #expect(bench.wanted(1, since: 0, at: 5000) == [whole])
        #expect(bench.wanted(1, since: 1, at: 5200) == [.scheduleInterestAnswer(LinkID(1), after: .milliseconds(800))])
        for time in stride(from: 5210, to: 6000, by: 10) {
            #expect(!bench.act { $0.ticked(at: .milliseconds(time), random: 0, into: &$1) }.contains(whole))
            #expect(bench.wanted(1, since: time == 5300 ? 0 : 1, at: time) == [])
        }
        // Nobody else waits for it, and a new link of its own is not held to what the old one asked.
        #expect(bench.wanted(2, since: 0, at: 5900) == [.sendInterest(LinkID(2), snapshot(1, entry(1)))])
        // What it asked for meanwhile is told then, the most of it, and that counts as its answer.
        _ = bench.act { $0.leaveStarted(at: .milliseconds(5999), deadline: .seconds(600), into: &$1) }
        #expect(bench.answerDue(1, at: 6000) == [whole])
        #expect(bench.answerDue(1, at: 6000) == [])
        #expect(bench.wanted(1, since: 0, at: 6999) == [.scheduleInterestAnswer(LinkID(1), after: .milliseconds(1))])
        // The question of the next second is answered with what is owed, which is not told twice.
        #expect(bench.wanted(1, since: 1, at: 7000) == [whole])
        #expect(bench.answerDue(1, at: 7001) == [])
        _ = bench.lost(1)
        #expect(bench.answerDue(1, at: 7002) == [])
        _ = bench.linked(3, "b")
        #expect(bench.wanted(3, since: 0, at: 7003) == [.sendInterest(LinkID(3), snapshot(1, entry(1)))])
    }

    @Test func `beyond its limit closes the link`() {
        var bench = Bench()
        bench.broker = BrokerMachine(.init(own: MemberRecord(node: "m", incarnation: Incarnation(1), address: ""), maximumInterest: 1))
        _ = bench.linked(1, "b")
        #expect(bench.received(1, snapshot(2, entry(1), entry(2))) == [.close(LinkID(1), .fault(LLMgineError(.limitExceeded, "")))])
    }

    @Test func `on a closed link changes nothing`() {
        var bench = Bench()
        #expect(bench.received(9, snapshot(1, entry(1))) == [])
        #expect(bench.lost(9) == [])
    }
}

@Suite struct `Membership of a node` {
    private func record(_ node: NodeID, _ state: MemberRecord.State = .up, counter: UInt64 = 1) -> MemberRecord {
        MemberRecord(node: node, incarnation: Incarnation(1), counter: counter, state: state, address: "\(node):1")
    }

    @Test func `dials whom it hears of and redials whom it lost`() {
        var bench = Bench(seeds: ["b:1"])
        #expect(bench.act { $0.started(at: .zero, into: &$1) } == [.dial("b:1", expecting: nil)])
        _ = bench.linked(1, "b", dialed: "b:1")
        let heard = bench.act { $0.gossipReceived(LinkID(1), [record("b"), record("c"), record("d", .left)], at: .zero, into: &$1) }
        #expect(heard == [.dial("c:1", expecting: "c")])
        #expect(bench.act { $0.dialFailed("c:1", at: .zero, random: 0, into: &$1) } == [])
        #expect(bench.broker.nextTick(at: .zero) == .milliseconds(25))
        #expect(bench.act { $0.ticked(at: .milliseconds(25), random: 0, into: &$1) } == [.dial("c:1", expecting: "c")])
        #expect(bench.lost(1, at: .seconds(1)) == [.peerDown("b", LinkID(1))])
        #expect(bench.act { $0.ticked(at: .milliseconds(1025), random: 0, into: &$1) } == [.dial("b:1", expecting: "b")])
    }

    @Test func `gossips with one peer every five seconds`() {
        var bench = Bench()
        _ = bench.act { $0.started(at: .zero, into: &$1) }
        _ = bench.linked(1, "b")
        _ = bench.linked(2, "c")
        #expect(bench.act { $0.ticked(at: .milliseconds(4999), random: 1, into: &$1) } == [])
        let gossip = bench.act { $0.ticked(at: .seconds(5), random: 1, into: &$1) }
        #expect(gossip.count == 1)
        guard case .sendGossip(LinkID(2), let records) = gossip.first else {
            Issue.record("no gossip to the second peer: \(gossip)")
            return
        }
        #expect(records.map(\.node) == ["m", "b", "c"])
    }

    @Test func `refutes what is said of it to all peers`() {
        var bench = Bench()
        _ = bench.linked(1, "b")
        let actions = bench.act { $0.gossipReceived(LinkID(1), [record("m", .left, counter: 4)], at: .zero, into: &$1) }
        #expect(actions == [.sendGossip(LinkID(1), [record("m", .joining, counter: 5)])])
        let later = MemberRecord(node: "m", incarnation: Incarnation(2), address: "x:1")
        #expect(bench.act { $0.gossipReceived(LinkID(1), [later], at: .zero, into: &$1) } == [.identityTaken(by: Incarnation(2))])
        #expect(bench.act { $0.gossipReceived(LinkID(1), [later], at: .seconds(5), into: &$1) } == [])
        var gone = later
        gone.state = .left
        let renewed = MemberRecord(node: "m", incarnation: Incarnation(3), counter: 5, address: "m:1")
        #expect(bench.act { $0.gossipReceived(LinkID(1), [gone], at: .seconds(10), into: &$1) } == [.sendGossip(LinkID(1), [renewed])])
    }

    @Test func `shows who is linked where it is, and works on with it, whatever another process of its name has said`() {
        var bench = Bench()
        _ = bench.linked(1, "b", incarnation: 5)
        let other = MemberRecord(node: "b", incarnation: Incarnation(6), state: .leaving, address: "elsewhere:1", roles: ["other"])
        _ = bench.linked(2, "c")
        #expect(bench.act { $0.gossipReceived(LinkID(2), [other], at: .zero, into: &$1) } == [])
        let shown = bench.broker.nodes.first { $0.node == "b" }
        #expect(shown?.record?.address == "b:1")
        #expect(shown?.record?.roles == [])
    }

    @Test func `tells its peers that it leaves and dials no more`() {
        var bench = Bench(seeds: ["s:1"])
        _ = bench.act { $0.started(at: .zero, into: &$1) }
        _ = bench.linked(1, "b")
        _ = bench.linked(2, "cli", kind: .leaf)
        #expect(
            bench.act { $0.leaveStarted(at: .seconds(1), deadline: .seconds(600), into: &$1) } == [
                .sendLeaving(LinkID(1), deadline: .seconds(600)), .sendLeaving(LinkID(2), deadline: .seconds(600)),
                .sendGossip(LinkID(1), [record("m", .leaving, counter: 3)]),
            ])
        #expect(bench.act { $0.dialFailed("s:1", at: .zero, random: 0, into: &$1) } == [])
        #expect(bench.act { $0.ticked(at: .seconds(4), random: 0, into: &$1) } == [])
        #expect(bench.act { $0.leaveFinished(into: &$1) } == [.sendGossip(LinkID(1), [record("m", .left, counter: 4)])])
    }

    @Test func `tells a peer that links while it leaves how long it still takes`() {
        var bench = Bench()
        _ = bench.act { $0.leaveStarted(at: .seconds(1), deadline: .seconds(600), into: &$1) }
        #expect(bench.linked(1, "b", at: .seconds(101)).contains(.sendLeaving(LinkID(1), deadline: .seconds(500))))
        #expect(bench.linked(2, "c", at: .seconds(700)).contains(.sendLeaving(LinkID(2), deadline: .zero)))
    }

    @Test func `sends no new work to a peer that leaves, however it hears of it`() {
        var bench = Bench()
        _ = bench.linked(1, "b")
        _ = bench.linked(2, "c")
        #expect(bench.act { $0.peerLeaving(LinkID(1), into: &$1) } == [.peerDraining("b", LinkID(1))])
        #expect(bench.act { $0.peerLeaving(LinkID(1), into: &$1) } == [])
        #expect(
            bench.act { $0.gossipReceived(LinkID(1), [record("c", .leaving)], at: .zero, into: &$1) } == [.peerDraining("c", LinkID(2))])
    }

    @Test func `of a leaf is its seeds, one after the other`() {
        var bench = Bench("cli", kind: .leaf, seeds: ["a:1", "b:1"])
        #expect(bench.act { $0.started(at: .zero, into: &$1) } == [.dial("a:1", expecting: nil)])
        #expect(bench.act { $0.dialFailed("a:1", at: .zero, random: 1, into: &$1) } == [.dial("b:1", expecting: nil)])
        let up = bench.linked(1, "b", dialed: "b:1")
        #expect(up == [.peerUp("b", LinkID(1), leaf: false), .sendInterest(LinkID(1), snapshot(0))])
        #expect(bench.act { $0.gossipReceived(LinkID(1), [record("c")], at: .zero, into: &$1) } == [])
        #expect(bench.act { $0.peerReportedInterest(LinkID(1), version: 9, hash: 9, into: &$1) } == [])
        // It keeps a second hub in reserve, if there is one.
        #expect(bench.act { $0.ticked(at: .seconds(60), random: 0, into: &$1) } == [.dial("a:1", expecting: nil)])
        _ = bench.act { $0.dialFailed("a:1", at: .seconds(60), random: 1, into: &$1) }
        #expect(bench.lost(1, at: .seconds(70)) == [.peerDown("b", LinkID(1)), .dial("a:1", expecting: nil)])
    }

    @Test func `of a leaf's second hub carries nothing until the first is gone, and then everything`() throws {
        var bench = Bench("cli", kind: .leaf, seeds: ["a:1", "b:1"])
        _ = bench.act { $0.started(at: .zero, into: &$1) }
        _ = bench.linked(1, "a", dialed: "a:1")
        _ = try bench.subscribed(7)
        #expect(bench.linked(2, "b", dialed: "b:1") == [])
        #expect(bench.received(2, snapshot(1, entry(9))) == [])
        #expect(bench.wanted(2, since: 0, at: 0) == [])
        #expect(bench.act { $0.ticked(at: .seconds(60), random: 0, into: &$1) } == [])
        #expect(bench.established(3).count == 1)
        #expect(
            bench.lost(1, at: .seconds(61)).prefix(4) == [
                .peerDown("a", LinkID(1)), .peerUp("b", LinkID(2), leaf: false), .sendInterest(LinkID(2), snapshot(1, entry(7))),
                .routeAdded("b", LinkID(2), entry(9), leaf: false),
            ])
        // Whoever waited for the first hub to know waits for the second.
        #expect(bench.acknowledged(2, 1) == [.resolve(3)])
    }

    @Test func `of a leaf's hub under two addresses is one`() {
        var bench = Bench("cli", kind: .leaf, seeds: ["a:1", "alias:1"])
        _ = bench.act { $0.started(at: .zero, into: &$1) }
        _ = bench.linked(1, "a", dialed: "a:1")
        #expect(bench.linked(2, "a", dialed: "alias:1") == [.close(LinkID(2), .duplicateLink)])
        #expect(bench.act { $0.ticked(at: .seconds(60), random: 0, into: &$1) } == [])
    }

    @Test func `of a leaf's second hub may be lost without a word`() {
        var bench = Bench("cli", kind: .leaf, seeds: ["a:1", "b:1"])
        _ = bench.act { $0.started(at: .zero, into: &$1) }
        _ = bench.linked(1, "a", dialed: "a:1")
        _ = bench.linked(2, "b", dialed: "b:1")
        #expect(bench.lost(2, at: .seconds(30)).allSatisfy { $0 == .dial("b:1", expecting: nil) })
        #expect(bench.broker.link(to: "a") == LinkID(1))
    }
}
