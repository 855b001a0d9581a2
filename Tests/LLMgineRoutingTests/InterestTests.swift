import LLMgineCore
import LLMgineRouting
import Testing

private func entry(_ flow: UInt32, _ filters: TopicFilter...) -> InterestEntry {
    InterestEntry(flow: flow, kind: .events, filters: filters.isEmpty ? ["a.>"] : filters, windowMessages: 64, windowBytes: 4096)
}

@Suite struct `An interest entry` {
    @Test func `hashes its content the same in every process`() {
        #expect(entry(1).stableHash == entry(1).stableHash)
        // Golden: a change of this number breaks the comparison with nodes that run an older build.
        #expect(
            InterestEntry(
                flow: 7, kind: .responder, filters: ["a.*", "b.>"], group: "g", whenFull: .dropOldest, windowMessages: 1, windowBytes: 2
            )
            .stableHash == 0xac8d_b211_afd1_600b)
    }

    @Test func `hashes differently when any part differs`() {
        let base = entry(1)
        var variants = [base, entry(2), entry(1, "b"), entry(1, "a.>", "b")]
        var other = base
        other.kind = .responder
        variants.append(other)
        other = base
        other.group = ""
        variants.append(other)
        other = base
        other.whenFull = .block(deadline: .seconds(6))
        variants.append(other)
        other = base
        other.whenFull = .rejectNew
        variants.append(other)
        other.kind = .responder
        other.windowBytes = 1
        variants.append(other)
        #expect(Set(variants.map(\.stableHash)).count == variants.count)
        var granted = base
        granted.windowBytes = 1
        #expect(granted.stableHash == base.stableHash, "each peer is told another window")
    }
}

@Suite struct `An interest log` {
    @Test func `tells what changed since a version`() {
        var log = InterestLog()
        log.add(entry(1))
        log.add(entry(2))
        let first = log.flush()
        #expect(first)
        #expect(log.version == 2)
        log.remove(1)
        log.add(entry(3))
        log.flush()
        #expect(log.delta(since: 2) == InterestUpdate(snapshot: false, from: 2, to: 4, adds: [entry(3)], removes: [1]))
        #expect(log.delta(since: 0) == InterestUpdate(snapshot: true, from: 0, to: 4, adds: [entry(2), entry(3)]))
        #expect(log.delta(since: 4) == InterestUpdate(snapshot: false, from: 4, to: 4))
        #expect(log.delta(since: 9).snapshot)
    }

    @Test func `never speaks of what came and went between two flushes`() {
        var log = InterestLog()
        log.add(entry(1))
        log.remove(1)
        #expect(!log.hasPending)
        let changed = log.flush()
        #expect(!changed)
        #expect(log.version == 0)
    }

    @Test func `leaves out of a delta what came and went since`() {
        var log = InterestLog()
        log.add(entry(1))
        log.flush()
        log.add(entry(2))
        log.flush()
        log.remove(2)
        log.flush()
        #expect(log.delta(since: 1) == InterestUpdate(snapshot: false, from: 1, to: 3))
    }

    @Test func `has the hash of its entries, whatever way led there`() {
        var one = InterestLog()
        var other = InterestLog()
        for flow in 1...5 as ClosedRange<UInt32> { one.add(entry(flow)) }
        one.flush()
        one.remove(2)
        one.flush()
        for flow in [5, 4, 3, 1] as [UInt32] {
            other.add(entry(flow))
            other.flush()
        }
        #expect(one.hash == other.hash)
        #expect(one.hash != 0)
    }

    @Test func `gives a snapshot to who is too far behind`() {
        var log = InterestLog(historyLimit: 4)
        for flow in 1...9 as ClosedRange<UInt32> {
            log.add(entry(flow))
            log.flush()
        }
        #expect(log.delta(since: 4).snapshot)
        #expect(log.delta(since: 5) == InterestUpdate(snapshot: false, from: 5, to: 9, adds: [entry(6), entry(7), entry(8), entry(9)]))
    }
}

@Suite struct `What a peer told of its interest` {
    @Test func `follows its log`() throws {
        var log = InterestLog()
        var peer = PeerInterest()
        log.add(entry(1))
        log.flush()
        #expect(try peer.apply(log.delta(since: 0)) == .changed(added: [entry(1)], removed: []))
        log.remove(1)
        log.add(entry(2))
        log.flush()
        #expect(try peer.apply(log.delta(since: 1)) == .changed(added: [entry(2)], removed: [entry(1)]))
        #expect(peer.version == log.version)
        #expect(peer.hash == log.hash)
        #expect(peer.entries == [entry(2)])
        #expect(peer.reported(version: log.version, hash: log.hash) == nil)
    }

    @Test func `notices a missing update and ignores an old one`() throws {
        var log = InterestLog()
        var peer = PeerInterest()
        for flow in 1...3 as ClosedRange<UInt32> {
            log.add(entry(flow))
            log.flush()
        }
        _ = try peer.apply(InterestUpdate(snapshot: true, from: 0, to: 1, adds: [entry(1)]))
        #expect(try peer.apply(InterestUpdate(snapshot: false, from: 2, to: 3, adds: [entry(3)])) == .gap(since: 1))
        #expect(try peer.apply(log.delta(since: 1)) == .changed(added: [entry(2), entry(3)], removed: []))
        #expect(try peer.apply(InterestUpdate(snapshot: false, from: 2, to: 3, adds: [entry(3)])) == .stale)
    }

    @Test func `asks for a snapshot when the hashes differ at one version`() throws {
        var peer = PeerInterest()
        _ = try peer.apply(InterestUpdate(snapshot: true, from: 0, to: 5, adds: [entry(1), entry(2)]))
        #expect(peer.reported(version: 6, hash: 0) == 5)
        #expect(peer.reported(version: 5, hash: 99) == 0)
        #expect(try peer.apply(InterestUpdate(snapshot: false, from: 5, to: 6, adds: [entry(9)])) == .stale)
        let outcome = try peer.apply(InterestUpdate(snapshot: true, from: 0, to: 6, adds: [entry(1, "z"), entry(3)]))
        #expect(outcome == .changed(added: [entry(1, "z"), entry(3)], removed: [entry(1), entry(2)]))
        #expect(peer.reported(version: 6, hash: entry(1, "z").stableHash &+ entry(3).stableHash) == nil)
    }

    @Test func `is bounded`() throws {
        var peer = PeerInterest(limit: 2)
        _ = try peer.apply(InterestUpdate(snapshot: true, from: 0, to: 2, adds: [entry(1), entry(2)]))
        #expect(throws: LLMgineError(.limitExceeded, "")) {
            try peer.apply(InterestUpdate(snapshot: false, from: 2, to: 3, adds: [entry(3)]))
        }
        #expect(throws: LLMgineError(.malformedFrame, "")) { try peer.apply(InterestUpdate(snapshot: false, from: 3, to: 2)) }
        #expect(peer.entries == [entry(1), entry(2)])
        #expect(try peer.apply(InterestUpdate(snapshot: false, from: 2, to: 4, adds: [entry(3)], removes: [1])) != .stale)
    }

    @Test func `makes no room by removing what is not there`() throws {
        var peer = PeerInterest(limit: 2)
        _ = try peer.apply(InterestUpdate(snapshot: true, from: 0, to: 2, adds: [entry(1), entry(2)]))
        for removes in [[8, 9], [1, 1], [1, 9]] as [[UInt32]] {
            #expect(throws: LLMgineError(.limitExceeded, "")) {
                try peer.apply(InterestUpdate(snapshot: false, from: 2, to: 3, adds: [entry(3), entry(4)], removes: removes))
            }
        }
        #expect(peer.entries == [entry(1), entry(2)])
        // A changed entry takes no room of its own, whether it is removed first or not.
        _ = try peer.apply(InterestUpdate(snapshot: false, from: 2, to: 3, adds: [entry(1, "y"), entry(3)], removes: [2]))
        _ = try peer.apply(InterestUpdate(snapshot: false, from: 3, to: 4, adds: [entry(1, "z"), entry(4)], removes: [1, 3]))
        #expect(peer.entries == [entry(1, "z"), entry(4)])
    }

    @Test func `arrives the same in parts`() throws {
        var log = InterestLog()
        for flow in 1...100 as ClosedRange<UInt32> { log.add(entry(flow)) }
        log.flush()
        let parts = log.snapshot.split(maximumBytes: 500)
        #expect(parts.count > 5)
        var peer = PeerInterest()
        for part in parts {
            #expect(peer.version < log.version)
            _ = try peer.apply(part)
        }
        #expect(peer.version == log.version)
        #expect(peer.hash == log.hash)
        for flow in 1...60 as ClosedRange<UInt32> { log.remove(flow) }
        log.flush()
        for part in log.delta(since: 100).split(maximumBytes: 100) { _ = try peer.apply(part) }
        #expect(peer.hash == log.hash)
        #expect(peer.version == log.version)
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func `converges over random changes and lost updates`(seed: UInt64) throws {
        var random = Seeded(seed)
        var log = InterestLog(historyLimit: 50)
        var peer = PeerInterest()
        var live: Set<UInt32> = []
        var next: UInt32 = 0
        for _ in 0..<500 {
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                if live.count < 3 || Bool.random(using: &random) {
                    next += 1
                    live.insert(next)
                    log.add(entry(next))
                } else if let gone = live.sorted().randomElement(using: &random) {
                    live.remove(gone)
                    log.remove(gone)
                }
            }
            let before = log.version
            guard log.flush(), Int.random(in: 0..<5, using: &random) > 0 else { continue }
            if case .gap(let since) = try peer.apply(log.delta(since: before)) { _ = try peer.apply(log.delta(since: since)) }
            #expect(peer.hash == log.hash, "seed \(seed)")
            #expect(Set(peer.entries.map(\.flow)) == live, "seed \(seed)")
        }
    }
}
